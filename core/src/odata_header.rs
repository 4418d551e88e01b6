//! Headers of OData's answers.

use http::HeaderName;

/// The row that an answer names.
pub(crate) static ENTITY_ID: HeaderName = HeaderName::from_static("odata-entityid");
/// What OData's answers carry, in its versions.
pub(crate) static ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");
pub(crate) static DATA_SERVICE_VERSION: HeaderName = HeaderName::from_static("dataserviceversion");
