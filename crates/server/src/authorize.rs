//! Whether a request may go ahead: a [`Permit`] or a refusal.
//!
//! Enters: a [`Request`], who sent it ([`Authenticated`]), what it is ([`Classified`]) and the directory's
//! snapshot. Leaves: a [`Permit`], which only this module makes and without which no backend serves anything.
//! Refused: a session whose role or provider is gone or whose sessions were revoked; every action that the bucket's
//! policy, the role's policies, boundary and session policies together do not allow (AWS IAM User Guide, "Policy
//! evaluation logic"); and an anonymous request, unless the bucket's policy allows it and its public access block
//! lets that count. An error on the way is a refusal.
//!
//! Where policies ask for the tags that an object has (`s3:ExistingObjectTag`), those are read before the decision.
//! The backend asks once more with the tags of the very object that it is about to serve, so that no change in
//! between is missed. With Ceph RGW's ways `s3:ResourceTag` is a tag of the object that is asked for; of the bucket, where
//! an object is made or none is asked for.
//!
//! What the server knows enters the condition context first, what the requester wrote last: a key cannot be set
//! twice, so a header never becomes a server-derived key.

use std::cell::LazyCell;
use std::sync::Arc;

use wigeon_core::policy::{Context, Policy};
use wigeon_core::s3::operation::{Operation, sees_object_tags};
use wigeon_core::s3::uri::Target;
use wigeon_core::s3::{BucketName, ObjectKey};

use crate::authenticate::Authenticated;
use crate::bucket::{BucketAccess, BucketPolicy};
use crate::classify::{
    Ask, BYPASS_GOVERNANCE, Classified, CopySource, On, Tags, Written, WrittenLock, bypasses_governance,
    request_context,
};
use crate::decided::DecidedBy;
use crate::denial::Denial;
use crate::directory::Snapshot;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::rights::Rights;

/// A request that may go ahead.
#[derive(Debug)]
pub struct Permit {
    request: Request,
    authenticated: Authenticated,
    classified: Classified,
    rights: Rights,
    /// What the bucket of the path says of its use.
    access: BucketAccess,
    /// The same of the bucket that a copy reads.
    source_access: BucketAccess,
    /// The directory as it was when this was decided.
    snapshot: Arc<Snapshot>,
    region: String,
    allowed_by: Option<DecidedBy>,
}

/// What a decision depends on and only the backend knows.
pub trait Facts {
    /// What a bucket says of who may use it, from memory.
    ///
    /// # Errors
    /// [`Refusal`] where that cannot be known: then nobody but the account itself may.
    fn access(&self, bucket: &BucketName) -> Result<BucketAccess, Refusal>;

    /// The tags of an object, or of a version of it; none where there is no such thing.
    ///
    /// # Errors
    /// [`Refusal`] where they cannot be read.
    fn tags(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version_id: Option<&str>,
    ) -> impl Future<Output = Result<Tags, Refusal>> + Send;
}

/// What the backend found out for a decision.
#[derive(Debug, Clone, Copy, Default)]
struct Known<'a> {
    /// What will be written, where the headers do not say it.
    written: Written<'a>,
    /// The tags that the object has.
    existing: Option<&'a Tags>,
    /// What a listing would be limited to.
    prefix: Option<&'a str>,
    /// The version that the body names.
    version: Option<&'a str>,
}

/// Decides whether a request may go ahead. The tags of an object are looked at only where policies do.
///
/// # Errors
/// 403 `AccessDenied` where policies do not allow it, 400 `ExpiredToken` where the session is over.
pub async fn authorize(
    request: Request,
    authenticated: Authenticated,
    classified: Classified,
    snapshot: Arc<Snapshot>,
    region: &str,
    facts: &impl Facts,
) -> Result<Box<Permit>, Refusal> {
    let rights = Rights::of(authenticated.caller(), &snapshot)
        .map_err(|ended| Refusal::session_over(ended.to_string()))?;
    expected_owners(&request, snapshot.account())?;
    let access = access_of(classified.target.bucket(), &rights, facts)?;
    let source = classified.copy_source.as_ref().map(|source| &source.bucket);
    let source_access = access_of(source, &rights, facts)?;
    if rights.is_anonymous() && access.policy_for_the_anonymous().is_none() {
        return Err(Refusal::access_denied(
            "the request is not signed, and no bucket policy speaks of the public",
        ));
    }
    let region = region.to_owned();
    let mut permit = Box::new(Permit {
        request,
        authenticated,
        classified,
        rights,
        access,
        source_access,
        snapshot,
        region,
        allowed_by: None,
    });
    let mut allowed_by = None;
    for ask in &permit.classified.asks {
        let existing = match permit.wants_tags(ask) {
            true => Box::pin(permit.tags_of(ask.on, facts)).await?,
            false => None,
        };
        let known = Known { existing: existing.as_ref(), ..Known::default() };
        allowed_by = allowed_by.or(permit.decide(ask, known)?);
    }
    permit.allowed_by = allowed_by;
    Ok(permit)
}

impl Permit {
    /// The operation that was permitted.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.classified.operation
    }

    /// What the path names.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.classified.target
    }

    /// The bucket.
    ///
    /// # Errors
    /// 500 for an operation of the service, which no caller makes.
    pub fn bucket(&self) -> Result<&BucketName, Refusal> {
        self.target().bucket().ok_or_else(|| Refusal::internal("the operation names no bucket"))
    }

    /// The bucket and the key.
    ///
    /// # Errors
    /// 500 for an operation of a bucket, which no caller makes.
    pub fn object(&self) -> Result<(&BucketName, &ObjectKey), Refusal> {
        match self.target() {
            Target::Object(bucket, key) => Ok((bucket, key)),
            Target::Service | Target::Bucket(_) => Err(Refusal::internal("the operation names no object")),
        }
    }

    /// What a copy reads.
    ///
    /// # Errors
    /// 500 for an operation that copies nothing.
    pub fn copy_source(&self) -> Result<&CopySource, Refusal> {
        self.source().ok_or_else(|| Refusal::internal("the operation has no copy source"))
    }

    /// What a copy reads, a version of it too; `None` for an operation that copies nothing.
    #[must_use]
    pub fn source(&self) -> Option<&CopySource> {
        self.classified.copy_source.as_ref()
    }

    /// Whether the caller is the account itself, which may do everything.
    #[must_use]
    pub fn is_account(&self) -> bool {
        self.rights.is_account()
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The statement that allowed it; the account's own doings need none.
    #[must_use]
    pub fn allowed_by(&self) -> Option<&DecidedBy> {
        self.allowed_by.as_ref()
    }

    /// Who sent it.
    #[must_use]
    pub fn authenticated(&self) -> &Authenticated {
        &self.authenticated
    }

    /// The canonical id of the account, which owns every bucket and object: 64 hexadecimal digits.
    #[must_use]
    pub fn owner_id(&self) -> &str {
        self.snapshot.owner_id()
    }

    /// The server's region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Whether the same caller may do something with another key of the bucket: for operations whose body names
    /// the keys.
    ///
    /// # Errors
    /// 403 `AccessDenied`.
    pub fn allows(&self, action: &'static str, key: &ObjectKey) -> Result<(), Refusal> {
        let resource = format!("arn:aws:s3:::{}/{key}", self.bucket()?);
        self.decide(&Ask { action, resource, on: On::Target }, Known::default()).map(drop)
    }

    /// Whether the caller may write these tags to the object of the path: for tags that the body names, or that a
    /// copy takes along. What `x-amz-tagging` says then counts for nothing. `existing` are those of the object
    /// itself.
    ///
    /// # Errors
    /// 403 `AccessDenied`.
    pub fn allows_tags(
        &self,
        action: &'static str,
        tags: &Tags,
        existing: Option<&Tags>,
    ) -> Result<(), Refusal> {
        let ask = Ask { action, resource: self.target().arn(), on: On::Target };
        let written = Written { tags: Some(tags), ..Written::default() };
        self.decide(&ask, Known { written, existing, ..Known::default() }).map(drop)
    }

    /// Whether the caller may protect the object of the path in this way: for what the body says. What headers say of it
    /// then counts for nothing.
    ///
    /// # Errors
    /// 403 `AccessDenied`.
    pub fn allows_lock(&self, action: &'static str, lock: WrittenLock) -> Result<(), Refusal> {
        let ask = Ask { action, resource: self.target().arn(), on: On::Target };
        let written = Written { lock: Some(lock), ..Written::default() };
        self.decide(&ask, Known { written, ..Known::default() }).map(drop)
    }

    /// Whether the caller may delete a key that the body names, or a version of it, and if the request says so bypass
    /// what protects it.
    ///
    /// # Errors
    /// 403 `AccessDenied`.
    pub fn allows_deletion(&self, key: &ObjectKey, version: Option<&str>) -> Result<(), Refusal> {
        let resource = format!("arn:aws:s3:::{}/{key}", self.bucket()?);
        let delete = if version.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
        let bypass = bypasses_governance(&self.request).then_some(BYPASS_GOVERNANCE);
        for action in std::iter::once(delete).chain(bypass) {
            let ask = Ask { action, resource: resource.clone(), on: On::Target };
            self.decide(&ask, Known { version, ..Known::default() })?;
        }
        Ok(())
    }

    /// Asks again with the tags that the object of the path has, where policies look at them.
    ///
    /// # Errors
    /// 403 `AccessDenied`.
    pub fn allows_tagged(&self, existing: &Tags) -> Result<(), Refusal> {
        self.ask_again(On::Target, existing)
    }

    /// The same for the object that a copy reads.
    ///
    /// # Errors
    /// 403 `AccessDenied`.
    pub fn allows_tagged_source(&self, existing: &Tags) -> Result<(), Refusal> {
        self.ask_again(On::CopySource, existing)
    }

    fn ask_again(&self, on: On, existing: &Tags) -> Result<(), Refusal> {
        let known = Known { existing: Some(existing), ..Known::default() };
        let mut asks = self.classified.asks.iter().filter(|ask| ask.on == on && self.wants_tags(ask));
        asks.try_for_each(|ask| self.decide(ask, known).map(drop))
    }

    /// Whether a decision may depend on the tags of the object.
    fn wants_tags(&self, ask: &Ask) -> bool {
        let in_policy = |policy: &Policy| policy.document.reads_object_tags();
        sees_object_tags(ask.action)
            && (self.rights.read_object_tags() || self.policy_for(ask).is_some_and(in_policy))
    }

    async fn tags_of(&self, on: On, facts: &impl Facts) -> Result<Option<Tags>, Refusal> {
        let found = match (on, &self.classified.copy_source, self.target()) {
            (On::CopySource, Some(source), _) => {
                facts.tags(&source.bucket, &source.key, source.version_id.as_deref()).await?
            }
            (On::Target, _, Target::Object(bucket, key)) => {
                facts.tags(bucket, key, self.request.query.value("versionId")).await?
            }
            _ => return Ok(None),
        };
        Ok(Some(found))
    }

    /// Whether the caller may do something with what a copy reads.
    ///
    /// # Errors
    /// 403 `AccessDenied`.
    pub fn allows_at_source(&self, action: &'static str) -> Result<(), Refusal> {
        let source = self.copy_source()?;
        let resource = format!("arn:aws:s3:::{}/{}", source.bucket, source.key);
        self.decide(&Ask { action, resource, on: On::CopySource }, Known::default()).map(drop)
    }

    /// Whether the caller may know that an object is not there: whoever could see it in a listing of its key.
    ///
    /// # Errors
    /// 403 `AccessDenied`.
    pub fn allows_missing(&self, on: On) -> Result<(), Refusal> {
        let source = self.source().filter(|_| on == On::CopySource);
        let (bucket, key, of_version) = match source {
            Some(source) => (&source.bucket, &source.key, source.version_id.is_some()),
            None => self.object().map(|(bucket, key)| (bucket, key, self.request.query.has("versionId")))?,
        };
        let action = if of_version { "s3:ListBucketVersions" } else { "s3:ListBucket" };
        let ask = Ask { action, resource: format!("arn:aws:s3:::{bucket}"), on };
        self.decide(&ask, Known { prefix: Some(key.as_str()), ..Known::default() }).map(drop)
    }

    /// Whether the caller could still change the policy of the bucket if it were this one.
    #[must_use]
    pub fn could_change_policy_under(&self, policy: &Policy) -> bool {
        let ask = Ask { action: "s3:PutBucketPolicy", resource: self.target().arn(), on: On::Target };
        self.rights.is_account() || self.judge(&ask, Some(policy), Known::default()).is_ok()
    }

    /// What the bucket that the question is about says.
    fn access_for(&self, ask: &Ask) -> &BucketAccess {
        match ask.on {
            On::Target => &self.access,
            On::CopySource => &self.source_access,
        }
    }

    /// The policy of that bucket, as far as it speaks to the caller.
    fn policy_for(&self, ask: &Ask) -> Option<&Policy> {
        let access = self.access_for(ask);
        match self.rights.is_anonymous() {
            true => access.policy_for_the_anonymous(),
            false => access.policy.as_deref().map(BucketPolicy::policy),
        }
    }

    fn decide(&self, ask: &Ask, known: Known<'_>) -> Result<Option<DecidedBy>, Refusal> {
        // The account itself can always undo a policy that locks it out.
        let own_policy = ["s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"];
        let policy = self.policy_for(ask);
        if self.rights.is_account() && (policy.is_none() || own_policy.contains(&ask.action)) {
            return Ok(None);
        }
        self.judge(ask, policy, known).map_err(|denial| {
            let refusal = Refusal::from(*denial);
            match self.rights.is_anonymous() {
                // Strangers learn nothing of what they would need.
                true => Refusal { message: "Access Denied".to_owned(), denial: None, ..refusal },
                false => refusal,
            }
        })
    }

    fn judge(
        &self,
        ask: &Ask,
        policy: Option<&Policy>,
        known: Known<'_>,
    ) -> Result<Option<DecidedBy>, Box<Denial>> {
        let context = LazyCell::new(|| self.context(ask, known));
        self.rights.decide(ask.action, &ask.resource, policy, &context)
    }

    /// The condition keys of the request, for what is asked.
    fn context<'a>(&'a self, ask: &Ask, known: Known<'a>) -> Context<'a> {
        let mut context = Context::with_capacity(32);
        self.server_context(&mut context);
        self.rights.enter_keys(&mut context);
        for (name, value) in known.existing.into_iter().flatten() {
            context.set(format!("s3:ExistingObjectTag/{name}"), value.as_str());
        }
        if self.snapshot.is_ceph() {
            for (name, value) in self.resource_tags(ask, known.existing).into_iter().flatten() {
                context.set(format!("s3:ResourceTag/{name}"), value.as_str());
            }
        }
        if let Some(prefix) = known.prefix {
            context.set("s3:prefix", prefix);
        }
        request_context(&self.request, &self.classified, known.written, &mut context);
        let of_source = self.source().filter(|_| ask.on == On::CopySource);
        let version = known.version.or(of_source.and_then(|source| source.version_id.as_deref()));
        if let Some(version) = version {
            context.set("s3:VersionId", version);
        }
        context
    }

    /// Ceph RGW's `s3:ResourceTag`: what there is has tags of its own; what is made has those of its bucket.
    fn resource_tags<'a>(&'a self, ask: &Ask, existing: Option<&'a Tags>) -> Option<&'a Tags> {
        let made =
            ask.on == On::Target && self.classified.asks.iter().any(|ask| ask.action == "s3:PutObject");
        existing.filter(|_| !made).or(self.access_for(ask).tags.as_deref())
    }

    /// What this server knows of the request.
    fn server_context<'a>(&'a self, context: &mut Context<'a>) {
        let request = &self.request;
        context.set("aws:SourceIp", request.source_ip);
        context.set("aws:SecureTransport", request.secure());
        context.set("aws:CurrentTime", request.at);
        context.set("aws:EpochTime", request.at.as_second());
        context.set("aws:ResourceAccount", self.snapshot.account());
        context.set("aws:RequestedRegion", self.region.as_str());
        context.set("s3:ResourceAccount", self.snapshot.account());
        if let Some(signature) = self.authenticated.signature() {
            context.set("s3:authType", signature.auth_type);
            context.set("s3:signatureversion", signature.version);
        }
        if let Some(at) = self.authenticated.signature().and_then(|signature| signature.at) {
            // Milliseconds; a clock that is ahead makes no negative age.
            let age = request.at.as_millisecond() - at.as_millisecond();
            context.set("s3:signatureAge", age.max(0));
        }
        if let Some(version) = request.tls {
            context.set("s3:TlsVersion", version.as_str());
        }
        if self.operation() == Operation::CreateBucket && says_where(request) {
            // No other region is taken.
            context.set("s3:locationconstraint", self.region.as_str());
        }
        for (header, key) in [("user-agent", "aws:UserAgent"), ("referer", "aws:Referer")] {
            if let Some(value) = request.header(header) {
                context.set(key, value);
            }
        }
    }
}

/// What a bucket says; for the account itself, which can mend it, an unreadable policy is none.
fn access_of(
    bucket: Option<&BucketName>,
    rights: &Rights,
    facts: &impl Facts,
) -> Result<BucketAccess, Refusal> {
    let Some(bucket) = bucket else { return Ok(BucketAccess::default()) };
    match facts.access(bucket) {
        Err(_) if rights.is_account() => Ok(BucketAccess::default()),
        known => known,
    }
}

/// A caller may say whose buckets it expects: another account's are not here.
fn expected_owners(request: &Request, account: &str) -> Result<(), Refusal> {
    let headers = ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"];
    match headers.iter().find(|header| request.header(header).is_some_and(|owner| owner != account)) {
        Some(header) => Err(Refusal::access_denied(format!("{header} is another account than this one"))),
        None => Ok(()),
    }
}

/// Whether `CreateBucket` has a body, which holds a location constraint.
fn says_where(request: &Request) -> bool {
    ["content-length", "x-amz-decoded-content-length"]
        .iter()
        .any(|header| request.header(header).is_some_and(|length| length != "0"))
}
