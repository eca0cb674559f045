//! Answers to questions that may be refused.

use wigeon_client::s3::{ErrorKind, S3Error};

/// What may not be asked, or the store has not, is not known; the rest of what is known is worth showing.
pub(super) fn known<T>(asked: Result<T, S3Error>) -> Result<Option<T>, S3Error> {
    match asked {
        Ok(answer) => Ok(Some(answer)),
        Err(error) => match error.kind() {
            ErrorKind::Denied | ErrorKind::NotSupported | ErrorKind::NotFound | ErrorKind::Invalid => {
                Ok(None)
            }
            _ => Err(error),
        },
    }
}
