//! How people name a model that is on no list: `owner/name` of a repository on the model hub, or an address. The page reads it to say
//! at once what is wrong, the engine to find the files.

/// The model hub.
pub const HUB: &str = "https://huggingface.co";
/// Where its pages are.
const HUB_HOSTS: [&str; 3] = ["huggingface.co", "www.huggingface.co", "hf.co"];
/// What a repository gives where no revision is asked for.
pub const MAIN: &str = "main";

/// A repository on the model hub, at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubRepository {
    /// `owner/name`, or a name alone: the hub's oldest repositories have no owner.
    pub id: String,
    /// A branch, a tag, a commit, or `refs/pr/7`.
    pub revision: String,
}

/// Words that name no model, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoReference(pub String);

/// Where a model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// On the model hub.
    Hub(HubRepository),
    /// In a folder: its address without a slash at the end.
    Address(String),
}

impl Reference {
    /// Understands `owner/name`, `owner/name@revision`, `name` alone, the address of a repository's page or of a file on it, also without
    /// its `https://`, and the address of any folder or of the `config.json` in it.
    ///
    /// # Errors
    /// [`NoReference`] for anything else.
    pub fn parse(text: &str) -> Result<Self, NoReference> {
        let text = text.trim();
        let lower = text.to_ascii_lowercase();
        if lower.starts_with("http://") || lower.starts_with("https://") {
            return Self::from_address(text);
        }
        if HUB_HOSTS.iter().any(|host| lower.strip_prefix(host).is_some_and(|path| path.starts_with('/'))) {
            return Self::from_address(&format!("https://{text}"));
        }
        match HubRepository::parse(text) {
            Some(repository) => Ok(Reference::Hub(repository)),
            None => Err(NoReference(format!(
                "`{text}` names no model: expected `owner/name` of a repository on the model hub, or the address of a folder"
            ))),
        }
    }

    fn from_address(address: &str) -> Result<Self, NoReference> {
        let bare = address.split(['?', '#']).next().unwrap_or(address).trim_end_matches('/');
        let (_, rest) = bare.split_once("://").unwrap_or_default();
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        if host.is_empty() {
            return Err(NoReference(format!("`{address}` is an address without a server")));
        }
        // A page of the hub is no folder: its files have addresses of their own.
        let is_hub = HUB_HOSTS.iter().any(|hub| host.eq_ignore_ascii_case(hub));
        if is_hub {
            return Self::from_hub_path(path)
                .ok_or_else(|| NoReference(format!("`{address}` is no repository of a model on the model hub")));
        }
        let folder = bare.strip_suffix("/config.json").unwrap_or(bare);
        Ok(Reference::Address(folder.into()))
    }

    /// `owner/name`, `owner/name/tree/REVISION`, `owner/name/resolve/REVISION/FILE`, and `blob` as `resolve`.
    fn from_hub_path(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').collect();
        let (id, rest) = match parts[..] {
            ["datasets" | "spaces", ..] => return None,
            [owner, name, ref rest @ ..] => (format!("{owner}/{name}"), rest),
            _ => (path.into(), &[][..]),
        };
        let revision = match rest {
            [] => MAIN.into(),
            ["tree", revision @ ..] if !revision.is_empty() => revision.join("/"),
            ["resolve" | "blob", "refs", kind, number, ..] => format!("refs/{kind}/{number}"),
            ["resolve" | "blob", revision, ..] => (*revision).into(),
            _ => return None,
        };
        HubRepository::parse(&format!("{id}@{}", revision.replace("%2F", "/"))).map(Reference::Hub)
    }
}

/// As [`Reference::parse`] reads it.
impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reference::Hub(repository) => repository.fmt(f),
            Reference::Address(address) => f.write_str(address),
        }
    }
}

impl Reference {
    /// What a model is called for short: the repository's name without its owner, with the revision where that is another than the usual;
    /// the last part of an address.
    pub fn title(&self) -> String {
        match self {
            Reference::Hub(repository) => {
                // A revision may hold slashes of its own.
                let owner = repository.id.find('/').map_or(0, |slash| slash + 1);
                repository.to_string()[owner..].to_string()
            }
            Reference::Address(address) => address.rsplit('/').next().unwrap_or(address).to_string(),
        }
    }
}

impl HubRepository {
    /// `owner/name` or `name`, with `@revision` or without; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, revision) = text.split_once('@').unwrap_or((text, MAIN));
        let is_word = |word: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !word.is_empty() && word.chars().all(allowed) && !word.chars().all(|c| c == '.')
        };
        let words = id.split('/');
        let fits = words.clone().count() <= 2 && words.clone().all(is_word) && revision.split('/').all(is_word);
        fits.then(|| Self { id: id.into(), revision: revision.into() })
    }

    /// The address of its files, with a slash at the end.
    pub fn folder(&self) -> String {
        format!("{HUB}/{}/resolve/{}/", self.id, self.revision.replace('/', "%2F"))
    }

    /// The address of the list of its files, those in sub-folders too.
    pub fn list(&self) -> String {
        format!("{HUB}/api/models/{}/tree/{}?recursive=true", self.id, self.revision.replace('/', "%2F"))
    }
}

/// As [`HubRepository::parse`] reads it.
impl std::fmt::Display for HubRepository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.revision.as_str() {
            MAIN => write!(f, "{}", self.id),
            revision => write!(f, "{}@{revision}", self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(text: &str) -> String {
        match Reference::parse(text) {
            Ok(Reference::Hub(repository)) => repository.to_string(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn reference_reads_what_people_copy_from_the_hub() {
        assert_eq!(hub(" google/flan-t5-small "), "google/flan-t5-small");
        assert_eq!(hub("gpt2"), "gpt2");
        assert_eq!(hub("a/b.c_d@refs/pr/7"), "a/b.c_d@refs/pr/7");
        assert_eq!(hub("https://huggingface.co/a/b"), "a/b");
        assert_eq!(hub("hf.co/a/b/tree/v2"), "a/b@v2");
        assert_eq!(hub("huggingface.co/t5-small"), "t5-small");
        assert_eq!(hub("https://huggingface.co/a/b/tree/main/"), "a/b");
        assert_eq!(hub("https://HuggingFace.co/a/b/tree/v1.0?x=1#y"), "a/b@v1.0");
        assert_eq!(hub("https://huggingface.co/a/b/resolve/0123abc/config.json"), "a/b@0123abc");
        assert_eq!(hub("https://hf.co/a/b/blob/refs/pr/7/model.safetensors"), "a/b@refs/pr/7");
        assert_eq!(hub("https://huggingface.co/a/b/resolve/refs%2Fpr%2F7/config.json"), "a/b@refs/pr/7");
    }

    #[test]
    fn reference_is_called_by_its_name_and_revision() {
        let title = |text| Reference::parse(text).unwrap().title();
        assert_eq!(title("owner/name"), "name");
        assert_eq!(title("t5-small"), "t5-small");
        assert_eq!(title("owner/name@refs/pr/7"), "name@refs/pr/7");
        assert_eq!(title("https://example.org/models/mine/"), "mine");
    }

    #[test]
    fn reference_takes_any_other_address_for_a_folder() {
        let folder = |text| Reference::parse(text).unwrap();
        let expected = Reference::Address("http://localhost:8080/m/bert".into());
        assert_eq!(folder("http://localhost:8080/m/bert"), expected);
        assert_eq!(folder("http://localhost:8080/m/bert/"), expected);
        assert_eq!(folder("http://localhost:8080/m/bert/config.json?raw=1"), expected);
    }

    #[test]
    fn reference_refuses_what_names_no_model() {
        for text in ["", "a b", "a/b/c", "../a", "/a", "a/", "a@", "..", "https://", "ftp://a/b"] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
        let message = Reference::parse("https://huggingface.co/datasets/a/b").unwrap_err().0;
        assert!(message.contains("no repository of a model"), "{message}");
    }

    #[test]
    fn reference_has_addresses_on_the_hub_with_its_revision_as_one_word() {
        let repository = HubRepository::parse("a/b@refs/pr/7").unwrap();
        assert_eq!(repository.folder(), "https://huggingface.co/a/b/resolve/refs%2Fpr%2F7/");
        assert_eq!(repository.list(), "https://huggingface.co/api/models/a/b/tree/refs%2Fpr%2F7?recursive=true");
    }
}
