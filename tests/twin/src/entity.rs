//! Entity set names and logical names: `accounts` and `account`.

/// The logical name of an entity set: "ies" becomes "y", else the final "s" goes.
pub(crate) fn logical_name(set: &str) -> String {
    match set.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => set.strip_suffix('s').unwrap_or(set).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_plural() {
        for (set, logical) in [
            ("accounts", "account"),
            ("opportunities", "opportunity"),
            ("contacts", "contact"),
            ("sheep", "sheep"),
        ] {
            assert_eq!(logical_name(set), logical);
        }
    }
}
