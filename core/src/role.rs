//! The two places where an organization can be served.

/// Which of an organization's two endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The endpoint that the organization has in ordinary times.
    Primary = 1,
    /// The endpoint that takes over when the primary's datacenter fails.
    Alternate = 2,
}

impl Role {
    /// The other one of the two.
    #[must_use]
    pub fn other(self) -> Role {
        match self {
            Role::Primary => Role::Alternate,
            Role::Alternate => Role::Primary,
        }
    }

    /// `primary` or `alternate`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Primary => "primary",
            Role::Alternate => "alternate",
        }
    }
}
