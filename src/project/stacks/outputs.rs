//! Outputs of components whose state is readable without terraform: in the stack itself, or in a
//! local file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::boundary::Boundary;
use crate::stacks::{
    Describer, Functions, KeptOutputs, Location, OutputRequest, Processing, StackReader, Stacks,
    outputs_of_state,
};

/// The maximum size of a state, in bytes.
const MAX_STATE: u64 = 64 << 20;

/// The kind of components that have outputs.
const TERRAFORM: &str = "terraform";

/// The result of reading outputs.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found {
    Outputs(Map<String, Value>),
    /// They may exist elsewhere, or later.
    NotHere(String),
    /// They can never be read.
    Never(String),
}

/// Reads the outputs of a component of a stack. Relative paths of states are below `root`.
pub(super) fn read(
    reader: &StackReader<'_>,
    stacks: &Stacks,
    functions: &dyn Functions,
    root: Option<&Path>,
    (component, stack_name): (&str, &str),
) -> Found {
    let describer = Describer::new(reader, functions, Processing::DESCRIBE).tolerating(true);
    let kept = match describer.find(stacks, stack_name, Some(TERRAFORM), component) {
        Ok(component) => component.kept_outputs(),
        Err(error) => return Found::Never(error.to_string()),
    };
    match kept {
        KeptOutputs::Written(outputs) => Found::Outputs(outputs),
        KeptOutputs::Elsewhere => {
            Found::Never("its state is in a backend that only terraform reads".to_owned())
        }
        KeptOutputs::File(path) => match state(&path, root).and_then(|text| outputs_of_state(&text)) {
            Some(outputs) => Found::Outputs(outputs),
            None if root.is_none() && !path.starts_with('/') => Found::Never(
                "its state is kept in a folder of the checkout, which is not there elsewhere".to_owned(),
            ),
            None => Found::NotHere(format!("there is no state {path}")),
        },
    }
}

/// The text of a state. A path relative to the root must not lead out of it.
fn state(path: &str, root: Option<&Path>) -> Option<String> {
    let file = if path.starts_with('/') {
        let is_file = Path::new(path).metadata().ok()?.is_file();
        File::open(path).ok().filter(|_| is_file)?
    } else {
        let root = root?;
        Boundary::new(root).open(&root.join(path)).ok()??
    };
    let mut text = String::new();
    file.take(MAX_STATE).read_to_string(&mut text).ok()?;
    Some(text)
}

/// A cache of the results, by component and stack.
#[derive(Default)]
pub(super) struct Memory(Mutex<BTreeMap<(String, String), Found>>);

impl Memory {
    pub(super) fn remembered(&self, component: &str, stack: &str, read: impl FnOnce() -> Found) -> Found {
        let key = (component.to_owned(), stack.to_owned());
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        known.unwrap_or_else(|| {
            let found = read();
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, found.clone());
            found
        })
    }
}

/// The answers to functions in stacks that are shown: outputs are read if possible, else shown as
/// written.
pub struct ShownOutputs<'a> {
    reader: &'a StackReader<'a>,
    stacks: &'a Stacks,
    world: &'a dyn Functions,
    root: Option<&'a Path>,
    memory: Memory,
}

impl<'a> ShownOutputs<'a> {
    /// Takes outputs from `stacks`, and everything else from `world`.
    pub fn new(
        reader: &'a StackReader<'a>,
        stacks: &'a Stacks,
        world: &'a dyn Functions,
        root: Option<&'a Path>,
    ) -> Self {
        Self { reader, stacks, world, root, memory: Memory::default() }
    }
}

impl Functions for ShownOutputs<'_> {
    fn environment(&self, name: &str) -> Option<String> {
        self.world.environment(name)
    }

    fn repository_root(&self) -> Option<String> {
        self.world.repository_root()
    }

    fn terraform_output(&self, request: &OutputRequest<'_>) -> Result<Value, String> {
        self.world.terraform_output(request)
    }

    fn shows_outputs_as_written(&self) -> bool {
        self.world.shows_outputs_as_written()
    }

    fn outputs_of(&self, component: &str, stack: &str) -> Option<Map<String, Value>> {
        let place = (component, stack);
        let read = || read(self.reader, self.stacks, self.world, self.root, place);
        match self.memory.remembered(component, stack, read) {
            Found::Outputs(outputs) => Some(outputs),
            Found::NotHere(_) | Found::Never(_) => None,
        }
    }

    fn note_unread(&self, request: &OutputRequest<'_>, at: &Location) {
        self.world.note_unread(request, at);
    }
}
