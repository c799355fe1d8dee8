//! What travels beside a command: samples, pictures, or the files of a model.

/// A file as it came, with its path in the folder that it came with or its name: in a browser a handle that is read when it is needed.
#[cfg(target_arch = "wasm32")]
pub type File = (String, web_sys::Blob);
/// A file as it came, with its path in the folder that it came with or its name: natively its bytes.
#[cfg(not(target_arch = "wasm32"))]
pub type File = (String, Vec<u8>);

/// What travels beside a command.
#[derive(Debug, Clone, Default)]
pub enum Attachment {
    /// Nothing.
    #[default]
    None,
    /// 16 kHz, mono.
    Samples(Vec<f32>),
    /// Pictures, or the files of a model.
    Files(Vec<File>),
}

impl Attachment {
    /// The samples; none where there are none.
    pub fn samples(self) -> Vec<f32> {
        if let Attachment::Samples(samples) = self { samples } else { Vec::new() }
    }

    /// The files; none where there are none.
    pub fn files(self) -> Vec<File> {
        if let Attachment::Files(files) = self { files } else { Vec::new() }
    }
}
