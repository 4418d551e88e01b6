//! What is known of a write after its call has ended.

/// What a call did at the service, as far as it can be known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Effect {
    /// A read: there is nothing to know.
    #[default]
    None = 0,
    /// The write was executed.
    Executed = 1,
    /// The write was not executed by any attempt.
    NotExecuted = 2,
    /// In doubt: it may or may not have been executed.
    Unknown = 3,
}

impl Effect {
    /// `none`, `executed`, `not_executed` or `unknown`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Effect::None => "none",
            Effect::Executed => "executed",
            Effect::NotExecuted => "not_executed",
            Effect::Unknown => "unknown",
        }
    }
}
