//! What a setting may be that is a word.

/// The setting `auto_switch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AutoSwitch {
    /// On for an explicit alternate and for a URL that is the alternate itself; else as the
    /// WSDL's FailoverPolicy says.
    Auto,
    /// On. The WSDL is not asked.
    On,
    /// Off: `EndpointSwitchRequired` is raised and nothing moves. The WSDL is not asked.
    Off,
}

/// The setting `token_precedence`: whose `Authorization` a call carries that has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenPrecedence {
    /// The request's own.
    Application,
    /// The token provider's.
    Provider,
}

/// The setting `ledger_bodies`: what a write on record keeps of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LedgerBodies {
    /// Its length.
    Off,
    /// Its length and its SHA-256.
    Digest,
    /// All of it, and the headers that say what is written, none with a credential: so that its values
    /// can be compared, and it can be sent again.
    Full,
}

/// The setting `store_durability`: what a write on record survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreDurability {
    /// The end of the process, however it ends. Power that fails takes the last moments' records, and
    /// leaves the store whole.
    Process,
    /// Power that fails as well. Each write waits twice for the disk.
    Power,
}

/// The setting `store_failure`: what becomes of a write that cannot be put on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreFailure {
    /// It is refused, and nothing of it is sent.
    Refuse,
    /// It is sent, and `StoreFailed` tells of it.
    GoOn,
}
