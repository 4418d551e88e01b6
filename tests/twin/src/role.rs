//! Which of the two sides is meant, and which of them serve.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One side of an organization.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The side that the organization's own URL names.
    Primary,
    /// The side that takes over.
    Alternate,
}

impl Role {
    /// Both roles, primary first.
    pub const ALL: [Role; 2] = [Role::Primary, Role::Alternate];

    /// The other side.
    pub fn other(self) -> Role {
        match self {
            Role::Primary => Role::Alternate,
            Role::Alternate => Role::Primary,
        }
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Role::Primary => "primary",
            Role::Alternate => "alternate",
        })
    }
}

/// Which sides serve the organization; a side that does not is passive, and answers everything but
/// the WSDL with the organization's passive fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// Only the primary serves.
    Primary,
    /// Only the alternate serves.
    Alternate,
    /// Every living side serves.
    #[default]
    Both,
    /// Both sides are passive.
    Neither,
}

impl Authority {
    /// Whether `role` serves.
    pub fn includes(self, role: Role) -> bool {
        match self {
            Authority::Both => true,
            Authority::Neither => false,
            Authority::Primary => role == Role::Primary,
            Authority::Alternate => role == Role::Alternate,
        }
    }
}
