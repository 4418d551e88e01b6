//! Who can own a host's name: the Public Suffix List. Beneath a registrable domain (`contoso.com`) names
//! are given by its owner; the domain itself is had by whoever registers it first.

/// The registrable domain that a host stands beneath. `None`: it is one itself, or a suffix that
/// everybody's names stand beneath (`co.uk`, `azurewebsites.net`). Where the list does not know the last
/// label (`local`, `test`), it counts as such a suffix.
pub(crate) fn owner(host: &str) -> Option<&str> {
    let name = host.strip_suffix('.').unwrap_or(host);
    let owner = psl::domain_str(name)?;
    (owner.len() < name.len()).then_some(owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_owns_a_name() {
        let table = [
            ("contoso.crm.dynamics.com", true),
            ("contoso.crm4.dynamics.com", true),
            ("contoso.api.crm.dynamics.com", true),
            ("contoso.crm9.dynamics.com", true),
            ("contoso.crm.microsoftdynamics.us", true),
            ("contoso.crm.appsplatform.us", true),
            ("contoso.crm.dynamics.cn", true),
            ("contoso.crm.microsoftdynamics.de", true),
            ("contoso.crm.dynamics.com.", true),
            ("crm.contoso.com", true),
            ("crm.contoso.co.uk", true),
            ("crm.example.local", true),
            ("contoso.crm.test", true),
            ("contoso.bücher.example", true),
            ("crm.contoso.xn--55qx5d.cn", true),
            ("contoso.com", false),
            ("contoso.com.", false),
            ("contoso.co.uk", false),
            ("co.uk", false),
            ("contoso.local", false),
            ("contoso.test", false),
            ("contoso.localhost", false),
            ("contoso.xn--55qx5d.cn", false),
            ("contoso.azurewebsites.net", false),
            ("contoso.github.io", false),
            ("crm.contoso.azurewebsites.net", true),
            ("contoso.ck", false),
            ("contoso", false),
            ("", false),
        ];
        for (host, expected) in table {
            assert_eq!(owner(host).is_some(), expected, "{host}");
        }
        assert_eq!(owner("contoso.api.crm.dynamics.com."), Some("dynamics.com"));
    }
}
