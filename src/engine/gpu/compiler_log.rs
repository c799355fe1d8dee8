//! What the shader compiler says of the pipelines that are made: everything while that is wanted, what it refuses always.

use super::device::Gpu;
use super::pipeline::PipelineKey;
use crate::protocol::{CompilerMessage, MessageKind};

/// So many messages are kept, the latest.
const MOST_MESSAGES: usize = 500;

/// The messages of a device.
#[derive(Debug, Default)]
pub(super) struct CompilerLog {
    /// Whether all are noted, and not only refusals.
    pub is_on: bool,
    pub messages: Vec<CompilerMessage>,
}

impl Gpu {
    /// Whether everything that the shader compiler says is noted from now on.
    pub fn log_compilation(&self, on: bool) {
        self.compiler_log.borrow_mut().is_on = on;
    }

    /// Notes what the compiler has to say of modules that were just made; `refused` is why pipelines of them are refused, if they are.
    pub(super) async fn note_messages<'a>(
        &self,
        modules: impl Iterator<Item = (&'a PipelineKey, &'a wgpu::ShaderModule)>,
        refused: Option<&str>,
    ) {
        if refused.is_none() && !self.compiler_log.borrow().is_on {
            return;
        }
        let mut messages = Vec::new();
        for (key, module) in modules {
            let info = module.get_compilation_info().await;
            messages.extend(info.messages.into_iter().map(|message| message_of(key, message)));
        }
        // What is wrong with a pipeline and not with its module the compiler does not say.
        if let Some(refused) = refused
            && !messages.iter().any(|message| message.kind == MessageKind::Error)
        {
            let (shader, source, message) = (String::new(), String::new(), refused.to_string());
            messages.push(CompilerMessage { kind: MessageKind::Error, message, shader, line: 0, source });
        }
        let noted = &mut self.compiler_log.borrow_mut().messages;
        noted.extend(messages);
        noted.drain(..noted.len().saturating_sub(MOST_MESSAGES));
    }
}

fn message_of(key: &PipelineKey, message: wgpu::CompilationMessage) -> CompilerMessage {
    let line = message.location.map_or(0, |location| location.line_number);
    let source = (line as usize).checked_sub(1).and_then(|above| key.text.lines().nth(above));
    CompilerMessage {
        kind: match message.message_type {
            wgpu::CompilationMessageType::Error => MessageKind::Error,
            wgpu::CompilationMessageType::Warning => MessageKind::Warning,
            wgpu::CompilationMessageType::Info => MessageKind::Info,
        },
        message: message.message,
        shader: key.shader.clone(),
        line,
        source: source.unwrap_or_default().trim().into(),
    }
}
