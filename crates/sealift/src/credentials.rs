//! STUB
use crate::objects::Objects;
use crate::pipeline::Problem;
use sealift_core::credential::CredentialSource;
use sealift_core::registries_conf::RegistryConf;
use sealift_registry::{Access, Anonymous};
use std::sync::Arc;
#[derive(Default)]
pub(crate) struct Credentials {}
impl Credentials {
    pub(crate) fn access(
        &self,
        _: Option<&CredentialSource>,
        _: Option<&RegistryConf>,
        _: &str,
        _: &Arc<dyn Objects>,
    ) -> Result<Access, Problem> {
        Ok(Arc::new(Anonymous))
    }
}
