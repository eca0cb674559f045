//! OpenID Connect providers.

use super::action::{Action, Answer, On, Reading, Work};
use super::fault::Fault;
use super::tags::write_tags;
use super::xml::Xml;
use crate::directory::Change;

pub(super) const ACTIONS: &[Action] = &[
    Action {
        name: "CreateOpenIDConnectProvider",
        on: On::Provider,
        work: Work::WriteAndRead(create, created),
    },
    Action { name: "GetOpenIDConnectProvider", on: On::Provider, work: Work::Read(get) },
    Action { name: "ListOpenIDConnectProviders", on: On::Account, work: Work::Read(list) },
    Action { name: "DeleteOpenIDConnectProvider", on: On::Provider, work: Work::Write(delete) },
    Action {
        name: "UpdateOpenIDConnectProviderThumbprint",
        on: On::Provider,
        work: Work::Write(set_thumbprints),
    },
    Action { name: "AddClientIDToOpenIDConnectProvider", on: On::Provider, work: Work::Write(add_client_id) },
    Action {
        name: "RemoveClientIDFromOpenIDConnectProvider",
        on: On::Provider,
        work: Work::Write(remove_client_id),
    },
];

const ARN: &str = "OpenIDConnectProviderArn";

fn arn(of: &Reading<'_>) -> Result<String, Fault> {
    of.input.arn(ARN).map(str::to_owned)
}

fn strings(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}

fn create(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::CreateProvider {
        url: of.input.required("Url")?.to_owned(),
        client_ids: strings(of.input.list("ClientIDList")),
        thumbprints: strings(of.input.list("ThumbprintList")),
        tags: of.input.tags()?,
    })
}

fn created(of: &Reading<'_>) -> Answer {
    let mut xml = Xml::default();
    xml.leaf(ARN, &of.resource(On::Provider));
    write_tags(&mut xml, &of.input.tags()?);
    Ok(xml)
}

fn get(of: &Reading<'_>) -> Answer {
    let arn = arn(of)?;
    let missing = || Fault::no_such_entity(format!("OpenIDConnect Provider not found for arn {arn}"));
    let provider = of.snapshot.entries().provider(&arn).ok_or_else(missing)?;
    let mut xml = Xml::default();
    // AWS leaves `https://` out; an address that is not `https` has to say so.
    xml.leaf("Url", provider.url.strip_prefix("https://").unwrap_or(&provider.url));
    xml.texts("ClientIDList", provider.client_ids.iter().map(String::as_str));
    xml.texts("ThumbprintList", provider.thumbprints.iter().map(String::as_str));
    xml.time("CreateDate", provider.created_at);
    write_tags(&mut xml, &provider.tags);
    Ok(xml)
}

fn list(of: &Reading<'_>) -> Answer {
    let mut xml = Xml::default();
    let account = of.snapshot.account_in_arns();
    xml.list("OpenIDConnectProviderList", of.snapshot.entries().providers.values(), |xml, provider| {
        xml.leaf("Arn", provider.arn(account).as_str());
    });
    Ok(xml)
}

fn delete(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::DeleteProvider { arn: arn(of)? })
}

fn set_thumbprints(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::SetThumbprints { arn: arn(of)?, thumbprints: strings(of.input.list("ThumbprintList")) })
}

fn add_client_id(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::AddClientId { arn: arn(of)?, client_id: of.input.required("ClientID")?.to_owned() })
}

fn remove_client_id(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::RemoveClientId { arn: arn(of)?, client_id: of.input.required("ClientID")?.to_owned() })
}
