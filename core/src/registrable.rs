//! Who can own a host's name: the Public Suffix List. Beneath a registrable domain (`contoso.com`) names
//! are given by its owner; the domain itself is had by whoever registers it first.

use std::cmp::Ordering;

/// Searched where it lies: as code, one match within another, it is four times as large.
const LIST: &str = include_str!("public_suffixes.txt");

/// The registrable domain that a host stands beneath. `None`: it is one itself, or a suffix that
/// everybody's names stand beneath (`co.uk`, `azurewebsites.net`). Where the list does not know the last
/// label (`local`, `test`), it counts as such a suffix.
pub(crate) fn owner(host: &str) -> Option<&str> {
    let name = host.strip_suffix('.').unwrap_or(host);
    let starts: Vec<usize> = std::iter::once(0)
        .chain(name.match_indices('.').map(|(dot, _)| dot + 1))
        .collect();
    // The longest rule that fits decides, and an exception before any.
    let suffix = starts
        .iter()
        .enumerate()
        .find_map(|(index, start)| suffix_from(index, &name[*start..]))
        .unwrap_or(starts.len() - 1);
    // The suffix and one label more, which must not be the whole.
    (suffix > 1).then(|| &name[starts[suffix - 1]..])
}

/// Which label a suffix begins at, where a rule fits the name that begins at the label `index`.
fn suffix_from(index: usize, name: &str) -> Option<usize> {
    let (label, parent) = name.split_once('.').unwrap_or((name, ""));
    let mut fits = None;
    for rule in rules_beneath(parent) {
        if rule.strip_prefix('!') == Some(label) {
            return Some(index + 1);
        }
        if rule == label || rule == "*" {
            fits = Some(index);
        }
    }
    fits
}

/// The labels of the rules beneath a name: a line of the list.
fn rules_beneath(parent: &str) -> impl Iterator<Item = &'static str> {
    let lines = LIST.split_once("\n\n").map_or(LIST, |(_, lines)| lines);
    let (mut low, mut high) = (0, lines.len());
    let mut found = "";
    while low < high {
        // The line around the middle; low and high are beginnings of lines, or the end.
        let middle = low + (high - low) / 2;
        let start = lines[..middle].rfind('\n').map_or(0, |end| end + 1);
        let end = start + lines[start..].find('\n').unwrap_or(lines.len() - start);
        let (name, labels) = lines[start..end].split_once(' ').unwrap_or_default();
        match name.cmp(parent) {
            Ordering::Equal => {
                found = labels;
                break;
            }
            Ordering::Less => low = end + 1,
            Ordering::Greater => high = start,
        }
    }
    found.split_ascii_whitespace()
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
            ("ex.futurecms.at", false),
            ("contoso", false),
            ("", false),
        ];
        for (host, expected) in table {
            assert_eq!(owner(host).is_some(), expected, "{host}");
        }
        assert_eq!(owner("contoso.api.crm.dynamics.com."), Some("dynamics.com"));
    }

    /// `make suffixes` writes the list anew where this says that the crate has another.
    #[test]
    fn the_list_says_what_the_crate_says() {
        let (_, lines) = LIST.split_once("\n\n").unwrap();
        let lines: Vec<_> = lines
            .lines()
            .map(|line| line.split_once(' ').unwrap())
            .collect();
        assert!(lines.is_sorted());
        let mut rules = 0;
        for (parent, labels) in lines {
            for label in labels.split(' ') {
                rules += 1;
                let name = format!("{}.{parent}", label.trim_start_matches('!'));
                let name = name.trim_end_matches('.').replace('*', "star");
                for host in ["", "a.", "b.a."].map(|beneath| format!("{beneath}{name}")) {
                    let expected = psl::domain_str(&host).filter(|owner| owner.len() < host.len());
                    // Beneath one wildcard and above others: the crate forgets the first.
                    let (first, rest) = host.split_once('.').unwrap_or((&host, ""));
                    let between = rules_beneath(&host).eq(["*"])
                        && rules_beneath(rest).any(|rule| rule == "*")
                        && rules_beneath(rest).all(|rule| rule != first);
                    let expected = expected.filter(|_| !between);
                    assert_eq!(owner(&host), expected, "{host} by {label} beneath {parent}");
                }
            }
        }
        assert!(rules > 9_000);
    }
}
