//! How a call ends: with a response, or with an error, which may have the response that was no
//! service's. A response whose body is still read may end with an error, too.

mod error;
mod response;

pub(crate) use error::Ending;
pub use error::{Error, ErrorKind};
pub use response::Response;
pub(crate) use response::{ReadBody, ResponseData, Told};
