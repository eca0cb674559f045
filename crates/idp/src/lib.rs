//! wigeon-idp
