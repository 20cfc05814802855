//! The name that somebody meant when they wrote another one.

/// The name among `names` that is nearest to `wanted`, if one is near enough that it was probably meant: few letters
/// differ, or it is the end of a path (`name` for `site.name`).
#[must_use]
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let far = wanted.chars().count().div_ceil(3).min(wanted.chars().count() / 2);
    let distance = |name: &str| {
        let name = name.to_lowercase();
        let is_end_of_path = name.strip_suffix(&wanted).is_some_and(|rest| rest.ends_with('.'));
        if is_end_of_path && !wanted.is_empty() { 1 } else { strsim::damerau_levenshtein(&wanted, &name) }
    };
    let near = names.into_iter().map(|name| (distance(name), name)).filter(|(distance, _)| *distance <= far);
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// The end of a sentence about an unknown name: ``; did you mean `x`?``, or what there is, or nothing.
#[must_use]
pub fn hint<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match nearest(wanted, names.iter().copied()) {
        Some(name) => format!("; did you mean `{name}`?"),
        None if names.is_empty() => String::new(),
        None => format!("; there is {}", listed(&names)),
    }
}

/// `` `a`, `b` and `c` ``; of many the first ten.
#[must_use]
pub fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 10;
    let mut quoted: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    if names.len() > SHOWN {
        return format!("{} and {} more", quoted.join(", "), names.len() - SHOWN);
    }
    match quoted.pop() {
        Some(last) if !quoted.is_empty() => format!("{} and {last}", quoted.join(", ")),
        last => last.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_finds_the_name_that_was_meant() {
        let names = ["price", "site.name", "auction", "date_time"];
        assert_eq!(nearest("pirce", names), Some("price"));
        assert_eq!(nearest("name", names), Some("site.name"));
        assert_eq!(nearest("Auction", names), Some("auction"));
        assert_eq!(nearest("dateTime", names), Some("date_time"));
        assert_eq!(nearest("bidder", names), None);
    }

    #[test]
    fn without_a_near_name_all_are_listed() {
        assert_eq!(hint("zzz", ["alpha", "beta", "gamma"]), "; there is `alpha`, `beta` and `gamma`");
        assert_eq!(hint("alhpa", ["alpha", "beta"]), "; did you mean `alpha`?");
        assert_eq!(hint("zzz", []), "");
    }
}
