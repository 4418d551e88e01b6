//! The setting `failback`.

/// What leads calls back from the alternate to the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failback {
    /// A fault at the alternate.
    OnFault,
    /// That as well; and good looks at the primary, where a fault had moved calls.
    Probe,
    /// The application alone.
    Manual,
}
