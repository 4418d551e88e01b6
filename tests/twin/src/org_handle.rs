//! An organization, as a test steers it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::config::{OrganizationConfig, Tokens, Wsdl};
use crate::error::TwinError;
use crate::fault_kind::FaultKind;
use crate::organization::{Common, Organization};
use crate::replication::Replication;
use crate::role::{Authority, Role};
use crate::side_handle::{SideDescription, SideHandle};
use crate::state::{Duplicate, RowView};
use crate::tls::CertificateAuthority;

/// An organization. Clones steer the same organization; every method may be called from any
/// thread.
#[derive(Clone)]
pub struct OrgHandle {
    organization: Arc<Organization>,
    /// The primary side.
    pub primary: SideHandle,
    /// The alternate side.
    pub alternate: SideHandle,
}

/// An organization as `GET /state` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrgDescription {
    /// Its name.
    pub name: String,
    /// Which sides serve.
    pub authority: Authority,
    /// What a passive side answers.
    pub passive: FaultKind,
    /// Whether tokens are checked.
    pub tokens: Tokens,
    /// How commits cross.
    pub replication: Replication,
    /// Commits that have not crossed.
    pub replication_waiting: u64,
    /// Commits that have crossed.
    pub replicated: u64,
    /// Rows that replication overwrote with a version that did not know theirs.
    pub conflicts: u64,
    /// The primary side.
    pub primary: SideDescription,
    /// The alternate side.
    pub alternate: SideDescription,
}

impl OrgHandle {
    pub(crate) fn open(
        runtime: &Handle,
        authority: &CertificateAuthority,
        config: OrganizationConfig,
        common: Arc<Common>,
    ) -> Result<OrgHandle, TwinError> {
        config.check()?;
        let organization = Arc::new(Organization::new(config, common));
        let side = |role| SideHandle::open(runtime, authority, &organization, role);
        let (primary, alternate) = (side(Role::Primary)?, side(Role::Alternate)?);
        Ok(OrgHandle {
            organization,
            primary,
            alternate,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.organization.config.name
    }

    /// One of its sides.
    pub fn side(&self, role: Role) -> &SideHandle {
        match role {
            Role::Primary => &self.primary,
            Role::Alternate => &self.alternate,
        }
    }

    /// Both sides' ways to reach them; see [`SideHandle::connect_to`].
    pub fn connect_to(&self) -> Vec<(String, String)> {
        Role::ALL
            .iter()
            .flat_map(|role| self.side(*role).connect_to())
            .collect()
    }

    /// Sets which sides serve, from the next request on.
    pub fn set_authority(&self, authority: Authority) {
        self.organization
            .update(|state| state.authority = authority);
    }

    /// Sets what a passive side answers. Refused for a kind that executes the request or that
    /// needs none.
    pub fn set_passive(&self, passive: FaultKind) -> Result<(), TwinError> {
        passive.check_passive()?;
        self.organization.update(|state| state.passive = passive);
        Ok(())
    }

    /// Sets whether tokens are checked.
    pub fn set_tokens(&self, tokens: Tokens) {
        self.organization.update(|state| state.tokens = tokens);
    }

    /// Sets what the WSDL says, on both sides.
    pub fn set_wsdl(&self, wsdl: Wsdl) -> Result<(), TwinError> {
        wsdl.check()?;
        self.organization.update(|state| state.wsdl = wsdl);
        Ok(())
    }

    /// Sets how commits cross. What waits keeps waiting under the new setting; `off` loses it.
    pub fn set_replication(&self, replication: Replication) {
        self.organization
            .update(|state| state.replication.set(replication));
    }

    /// Lets everything that waits cross now, whatever the mode; returns how many commits did.
    /// Refused while the sides are partitioned.
    pub fn replicate(&self) -> Result<u64, TwinError> {
        self.organization
            .update(|state| state.replicate())
            .map_err(TwinError::invalid)
    }

    /// The rows of both sides, united by id.
    pub fn rows(&self) -> Vec<RowView> {
        self.organization.read(|state| state.rows())
    }

    /// Rows of one entity that have one name and different ids, over both sides.
    pub fn duplicates(&self) -> Vec<Duplicate> {
        self.organization.read(|state| state.duplicates())
    }

    /// Rows that replication overwrote with a version that did not know theirs.
    pub fn conflicts(&self) -> u64 {
        self.organization.read(|state| state.conflicts)
    }

    /// The organization as `GET /state` shows it.
    pub fn describe(&self) -> OrgDescription {
        let (primary, alternate) = (self.primary.describe(), self.alternate.describe());
        self.organization.read(|state| OrgDescription {
            name: self.name().to_owned(),
            authority: state.authority,
            passive: state.passive.clone(),
            tokens: state.tokens,
            replication: state.replication.settings,
            replication_waiting: state.replication.waiting(),
            replicated: state.replicated,
            conflicts: state.conflicts,
            primary,
            alternate,
        })
    }
}
