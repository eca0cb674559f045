//! The Security Token Service, as rules and wire types: what is sent, what is answered, what is refused.
//!
//! ```text
//! Parameters ─► AssumeRoleWithWebIdentity        SignedToken ─► VerifiedToken
//! AssumedRole… answers and faults ─► XML, and back
//! ```
//!
//! Enters: form parameters, XML of STS services (AWS's, ours, Ceph's), tokens whose signature holds, what a
//! service says of an opaque one.
//! Leaves: the same as types, both ways, for the client and the server. Refused: whatever breaks a rule of
//! docs/sts.md, with AWS's code and words.

mod xml;

mod fault;

mod parameters;

mod constraint;

mod request;

mod session_tags;

mod assume_role;

mod account_calls;

mod response;

mod session_name;

mod token_information;

mod web_identity;

pub use account_calls::{DecodeAuthorizationMessage, GetAccessKeyInfo, GetSessionToken};
pub use assume_role::AssumeRole;
pub use fault::{Fault, FaultCode, StsError};
pub use parameters::Parameters;
pub use request::{
    API_VERSION, AssumeRoleWithWebIdentity, DURATION_SECONDS, MAX_POLICY_ARNS, MAX_POLICY_LEN,
    SESSION_NAME_PATTERN,
};
pub use response::{
    AssumedRole, CallerIdentity, access_key_info_xml, decoded_message_xml, session_token_xml,
};
pub use session_name::session_name_from;
pub use session_tags::{SessionTags, TagsError};
pub use token_information::{
    InformationError, TokenInformation, amazon_information, facebook_information, facebook_refusal,
};
pub use web_identity::{
    Bearer, CLOCK_SKEW, IdentityError, IdentityRules, VerifiedToken, issuer_of, verify_identity,
    verify_information,
};
pub use xml::XmlError;
