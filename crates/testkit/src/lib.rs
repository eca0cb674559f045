//! wigeon-testkit
