//! Plugins: where the code of a stage is found, and how it is loaded.

use std::path::{Path, PathBuf};

use wasmill_wasm::{Component, Engine};

use crate::spec::PluginRef;

/// The component that a pipeline means. Relative paths start from `base`.
///
/// # Errors
/// A sentence that says what is missing; what to do.
pub(crate) fn find(plugin: &PluginRef, base: &Path) -> Result<PathBuf, String> {
    match plugin {
        PluginRef::Path(path) => built(&base.join(path)),
        PluginRef::Named { name, version } => {
            Err(format!("there is no plugin `{name}@{version}` on this machine; name a folder or a file, `./{name}`"))
        }
    }
}

/// The component at a path, or what `wasmill build` made in a folder.
///
/// # Errors
/// As [`find`].
pub(crate) fn built(path: &Path) -> Result<PathBuf, String> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    if !path.is_dir() {
        return Err(format!("there is no plugin at {}; check the path", path.display()));
    }
    let folder = path.join("target/wasmill");
    let mut components: Vec<PathBuf> = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .collect();
    match (components.pop(), components.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(format!("there are several components in {}; name one of them", folder.display())),
        (None, _) => Err(format!("{} was not built yet; run `wasmill build {}`", path.display(), path.display())),
    }
}

/// Whether a folder has an operator's source, which `wasmill build` can compile.
pub(crate) fn is_project(folder: &Path) -> bool {
    ["Cargo.toml", "go.mod"].iter().any(|manifest| folder.join(manifest).is_file())
}

/// Loads a component: checked, compiled or taken from the cache.
///
/// # Errors
/// It cannot be read, or is not one that this host takes.
pub(crate) fn load(path: &Path, engine: &Engine) -> Result<Component, String> {
    let unreadable = |error| format!("{} cannot be read: {error}; check the path", path.display());
    let bytes = std::fs::read(path).map_err(unreadable)?;
    engine.load(&bytes).map_err(|error| format!("{}: {error}", path.display()))
}
