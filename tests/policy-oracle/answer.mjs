// Reads one simulation per line, writes one outcome per line, in the same order.
//
// The package's checked entry point refuses condition keys that AWS does not know, and its unchecked one
// fails on resource policies; so this calls what both of them call. The version is pinned for that reason.
import { createInterface } from 'node:readline'
import { loadPolicy } from '@cloud-copilot/iam-policy'

const inside = new URL('node_modules/@cloud-copilot/iam-simulate/dist/esm/', import.meta.url)
const { authorize } = await import(new URL('core_engine/CoreSimulatorEngine.js', inside))
const { AwsRequestImpl } = await import(new URL('request/request.js', inside))
const { RequestContextImpl } = await import(new URL('requestContext.js', inside))
const { DiscoveryContextKeyConstraints } = await import(
  new URL('context_keys/discoveryContextKeyConstraints.js', inside)
)

const named = (policy) => policy && loadPolicy(policy, { name: 'p' })

function decide({ request, identity, resource, boundary }) {
  const context = new RequestContextImpl(request.context)
  const principal = request.principal ?? { type: 'Anonymous' }
  const about = { resource: request.resource, accountId: request.account }
  return authorize({
    request: new AwsRequestImpl(principal, about, request.action, context),
    identityPolicies: identity.map(named),
    resourcePolicy: named(resource),
    permissionBoundaries: boundary && [named(boundary)],
    sessionPolicy: undefined,
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    vpcEndpointPolicies: undefined,
    simulationParameters: {
      simulationMode: 'Strict',
      discoveryContextKeyConstraints: new DiscoveryContextKeyConstraints([])
    },
    serviceSettings: {}
  }).result
}

const answers = []
for await (const line of createInterface({ input: process.stdin })) {
  try {
    answers.push(decide(JSON.parse(line)))
  } catch (error) {
    answers.push(`error: ${error.stack.replaceAll('\n', ' ')}`)
  }
}
process.stdout.write(answers.join('\n') + '\n')
