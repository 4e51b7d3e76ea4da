//! STUB
use crate::objects::Objects;
use crate::pipeline::Problem;
use sealift_core::application::Application;
use sealift_git::{GitUrl, Remote};
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Question(String);
impl Question {
    pub(crate) fn text(&self) -> String {
        self.0.clone()
    }
}
pub(crate) fn question(application: &Application) -> Question {
    Question(format!(
        "{} {} {:?}",
        application.repository, application.project, application.method
    ))
}
pub(crate) async fn remote(
    _: &dyn Objects,
    _: &Application,
    url: GitUrl,
    _: &str,
) -> Result<Remote, Problem> {
    Ok(Remote::new(url))
}
pub(crate) async fn operators_remote(
    _: &dyn Objects,
    url: &GitUrl,
    _: &str,
) -> Result<Remote, Problem> {
    Ok(Remote::new(url.clone()))
}
