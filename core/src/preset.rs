//! The presets, by name.

/// A set of rules for when to leave an endpoint and what to send again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// The rules of the .NET SDK.
    Dotnet = 1,
    /// No switch without proof, and no write sent twice that could be executed twice.
    Safe = 2,
}
