//! stub
pub struct Environment<'a> {
    pub x: &'a str,
}
pub fn parse(
    _: &mut crate::source::Sources,
    _: shared::diagnostic::SourceId,
    _: &Environment<'_>,
) -> (crate::ast::Stapfile, Vec<shared::diagnostic::Diagnostic>) {
    Default::default()
}
impl std::fmt::Display for crate::ast::Stapfile {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
impl crate::source::Sources {
    pub fn into_all(self) -> Vec<shared::diagnostic::Source> {
        self.all().to_vec()
    }
    pub fn span_of(&self, _: shared::ir::Location) -> Option<shared::diagnostic::Span> {
        None
    }
}
