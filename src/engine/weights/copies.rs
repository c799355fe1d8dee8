//! Names of the copies of weights in the form in which slots hold them, which lie in the store beside the files that they were made of.
//!
//! A copy is called `ADDRESS#COMPONENT-FORM-SHAPES`: the file's address, the part of the model, the precision, and a hash of all slots'
//! names, types and layouts, so that what two backends hold alike is one copy and what they do not is two. Of each component one is kept,
//! the one that was made last: the store is small, and a visitor who changes the precision seldom goes back. Copies of files that are not
//! kept themselves have a name of their own each time, and go with the session that needs them.

/// How long a copy that goes with its session may be there: one that is older was left behind by a page that was closed.
const TEMPORARY_MS: f64 = 24.0 * 3600e3;
const TEMPORARY: &str = "temporary-";

/// The name of a copy.
pub fn name(address: &str, component: &str, form: &str, shapes: &str) -> String {
    format!("{address}#{component}-{form}-{shapes}")
}

/// A name that no other copy has: `now_ms` is the time, `random` tells apart what is made at the same time.
pub fn temporary_name(component: &str, now_ms: f64, random: u32) -> String {
    format!("{TEMPORARY}{now_ms:.0}-{random}#{component}")
}

/// Whether this is a copy's name, and no file's address.
pub fn is_copy(name: &str) -> bool {
    name.contains('#')
}

/// Whether a copy goes with its session.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY)
}

/// Whether a copy was left behind by a session that ended before it could remove it.
pub fn is_left_behind(name: &str, now_ms: f64) -> bool {
    let made_ms = name.strip_prefix(TEMPORARY).and_then(|rest| rest.split('-').next()?.parse::<f64>().ok());
    made_ms.is_some_and(|made_ms| now_ms - made_ms > TEMPORARY_MS)
}

/// Whether `other` is a copy of the same component in another form, or of another version or source.
pub fn is_rival(other: &str, name: &str) -> bool {
    let component = |name: &str| Some(name.rsplit_once('#')?.1.split('-').next()?.to_string());
    other != name && !is_temporary(other) && component(other).is_some() && component(other) == component(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_that_differ_in_anything_have_names_of_their_own() {
        let names = [
            name("https://a.test/Model/model.safetensors", "text", "Int8", "00"),
            name("https://a.test/model/model.safetensors", "text", "Int8", "00"),
            name("https://a.test/Model/model.safetensors", "pictures", "Int8", "00"),
            name("https://a.test/Model/model.safetensors", "text", "Int4", "00"),
            name("https://a.test/Model/model.safetensors", "text", "Int8", "01"),
            temporary_name("text", 1e12, 1),
            temporary_name("text", 1e12, 2),
        ];
        for (idx, name) in names.iter().enumerate() {
            assert!(is_copy(name) && !names[idx + 1..].contains(name), "{name}");
        }
        assert!(!is_copy("https://a.test/Model/model.safetensors"));
    }

    #[test]
    fn one_copy_of_a_component_takes_the_place_of_another() {
        let int8 = name("https://a.test/m/model.safetensors", "text", "Int8", "00");
        assert!(is_rival(&name("https://b.test/m/model.safetensors", "text", "Int4", "01"), &int8));
        assert!(is_rival("https://a.test/m/model.safetensors#text-int4", &int8), "as earlier versions wrote it");
        for other in [&int8, &name("https://a.test/m/model.safetensors", "pictures", "Int8", "00")] {
            assert!(!is_rival(other, &int8));
        }
        assert!(!is_rival("https://a.test/m/model.safetensors", &int8), "the file itself stays");
        assert!(!is_rival(&temporary_name("text", 1e12, 1), &int8), "a session needs it");
    }

    #[test]
    fn what_a_closed_page_left_behind_is_known_by_its_age() {
        let left = temporary_name("model", 1e12, 7);
        assert!(is_temporary(&left) && is_left_behind(&left, 1e12 + 2.0 * TEMPORARY_MS));
        assert!(!is_left_behind(&left, 1e12 + 1000.0));
        assert!(!is_left_behind(&name("https://a.test/m", "text", "Int8", "00"), 1e13));
    }
}
