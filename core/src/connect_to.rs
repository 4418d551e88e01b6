//! The setting `connect_to`: other addresses for the connections of a host.

/// One rule of `connect_to`: connections that would go to one address go to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectTo {
    from: (String, u16),
    to: (String, u16),
}

/// Where connections to a host and port really go.
pub(crate) fn address_of<'a>(rules: &'a [ConnectTo], host: &'a str, port: u16) -> (&'a str, u16) {
    rules
        .iter()
        .find(|rule| rule.from.0 == host && rule.from.1 == port)
        .map_or((host, port), |rule| (&rule.to.0, rule.to.1))
}

/// curl's form: `HOST1:PORT1:HOST2:PORT2`, IPv6 addresses in brackets.
/// The error is the rule that cannot be read.
pub(crate) fn parse(value: &str) -> Result<Vec<ConnectTo>, &str> {
    value
        .split(',')
        .filter(|rule| !rule.trim().is_empty())
        .map(|rule| {
            let rule = rule.trim();
            one(rule).ok_or(rule)
        })
        .collect()
}

fn one(rule: &str) -> Option<ConnectTo> {
    let (from, rest) = host_and_port(rule)?;
    let (to, rest) = host_and_port(rest.strip_prefix(':')?)?;
    rest.is_empty().then_some(ConnectTo { from, to })
}

fn host_and_port(text: &str) -> Option<((String, u16), &str)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => text.split_at(text.find(':')?),
    };
    let rest = rest.strip_prefix(':')?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (port, rest) = rest.split_at(digits);
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    (!host.is_empty()).then(|| ((host.to_ascii_lowercase(), port), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_to_takes_names_and_addresses() {
        let rules = parse("A.example:443:[::1]:8443, [fe80::1]:80:b:81").unwrap();
        assert_eq!(address_of(&rules, "a.example", 443), ("::1", 8443));
        assert_eq!(address_of(&rules, "fe80::1", 80), ("b", 81));
        assert_eq!(address_of(&rules, "a.example", 444), ("a.example", 444));
        assert_eq!(parse("a:1:b:1,c"), Err("c"));
    }
}
