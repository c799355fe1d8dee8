//! What a browser says it is, in the words that people use.

use super::record::Browser;

/// The names that browsers put into what they call themselves, the one that is told first: what is built on another carries that
/// one's name too.
const NAMES: [(&str, &str); 7] = [
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Firefox/", "Firefox"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
];

impl Browser {
    /// From what a browser calls itself, and from the brands that it tells where it tells any: Chromium calls itself Chrome.
    pub fn from_agent(agent: &str, brands: &[String]) -> Self {
        let version_after = |token: &str| {
            let rest = &agent[agent.find(token)? + token.len()..];
            Some(rest.chars().take_while(char::is_ascii_digit).collect::<String>())
        };
        let known = NAMES.iter().find_map(|(token, name)| Some((*name, version_after(token)?)));
        let (name, version) = known.unwrap_or_else(|| match version_after("Version/") {
            Some(version) if agent.contains("Safari/") && agent.contains("Linux") => ("WebKitGTK", version),
            Some(version) if agent.contains("Safari/") => ("Safari", version),
            _ => ("Unknown browser", String::new()),
        });
        let is_plain = !brands.is_empty() && !brands.iter().any(|brand| brand == "Google Chrome");
        let name = if name == "Chrome" && is_plain { "Chromium" } else { name };
        Self { name: name.into(), version, agent: agent.into() }
    }
}

/// The operating system, as far as a browser tells it; Windows 10 and 11 call themselves the same, and so do all macOS.
pub fn system_of(agent: &str) -> &'static str {
    let systems = [
        ("Android", "Android"),
        ("iPhone", "iOS"),
        ("iPad", "iPadOS"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    systems.iter().find(|(token, _)| agent.contains(token)).map_or("unknown system", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(agent: &str, brands: &[&str]) -> (String, String) {
        let brands: Vec<String> = brands.iter().map(|brand| brand.to_string()).collect();
        let browser = Browser::from_agent(agent, &brands);
        (browser.name, browser.version)
    }

    #[test]
    fn browsers_are_known_by_what_they_call_themselves() {
        let on_linux =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";
        assert_eq!(named(on_linux, &[]), ("Chrome".into(), "156".into()));
        assert_eq!(named(on_linux, &["Chromium", "Not)A;Brand"]), ("Chromium".into(), "156".into()));
        assert_eq!(named(on_linux, &["Chromium", "Google Chrome"]), ("Chrome".into(), "156".into()));
        assert_eq!(named(&format!("{on_linux} Edg/156.0.0.0"), &[]), ("Edge".into(), "156".into()));
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0";
        assert_eq!(named(firefox, &[]), ("Firefox".into(), "153".into()));
        let webkit =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15";
        assert_eq!(named(webkit, &[]), ("WebKitGTK".into(), "26".into()));
        let safari = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15";
        assert_eq!(named(safari, &[]), ("Safari".into(), "26".into()));
        assert_eq!(named("curl/8", &[]).0, "Unknown browser");
    }

    #[test]
    fn systems_are_known_by_what_browsers_say() {
        assert_eq!(system_of("Mozilla/5.0 (Linux; Android 16; K) Chrome/156"), "Android");
        assert_eq!(system_of("Mozilla/5.0 (Windows NT 10.0; Win64; x64)"), "Windows");
        assert_eq!(system_of("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"), "macOS");
        assert_eq!(system_of("x"), "unknown system");
    }
}
