//! Plugins: where the code of a stage is found, and how it is loaded.
//!
//! A stage names a folder, a file, or a plugin by name and version: a file `name@version.wasm` on one of the shelves,
//! whose order is decided here and nowhere else.

use std::path::{Path, PathBuf};

use wasmill_engine::graph::suggest::{hint, nearest};
use wasmill_wasm::{Component, Engine};

use crate::build;
use crate::spec::PluginRef;

/// The component that a pipeline means. Relative paths start from `base`.
///
/// # Errors
/// A sentence that says what is missing; what to do.
pub(crate) fn find(plugin: &PluginRef, base: &Path) -> Result<PathBuf, String> {
    match plugin {
        PluginRef::Path(path) => built(&base.join(path)),
        PluginRef::Named { .. } => named(&plugin.to_string(), &shelves(base)),
    }
}

/// The variable that names folders of plugins, separated as `PATH` is.
const SHELVES: &str = "WASMILL_PLUGINS";

/// The folders in which a plugin that is called by its name is looked for, the first one first: those of the variable,
/// `plugins` beside the pipeline or in a folder above it, `plugins` beside the binary.
fn shelves(base: &Path) -> Vec<PathBuf> {
    let given = std::env::var_os(SHELVES).unwrap_or_default();
    let mut shelves: Vec<PathBuf> = std::env::split_paths(&given).filter(|path| !path.as_os_str().is_empty()).collect();
    // As it is on disk, because what is above a path is not above one with `..` in it; nothing is the folder at hand.
    let base = base.join(".").canonicalize().unwrap_or_else(|_| base.to_owned());
    let binary = std::env::current_exe().ok();
    let beside = base.ancestors().chain(binary.iter().filter_map(|binary| binary.parent()));
    shelves.extend(beside.map(|folder| folder.join("plugins")));
    shelves
}

/// The component of that name and version on the first shelf that has it.
fn named(wanted: &str, shelves: &[PathBuf]) -> Result<PathBuf, String> {
    let file = format!("{wanted}.wasm");
    if let Some(found) = shelves.iter().map(|shelf| shelf.join(&file)).find(|path| path.is_file()) {
        return Ok(found);
    }
    let mut names: Vec<String> = shelves
        .iter()
        .filter_map(|shelf| std::fs::read_dir(shelf).ok())
        .flat_map(|entries| entries.flatten())
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".wasm")?.to_owned()))
        .filter(|name| name.contains('@'))
        .collect();
    names.sort_unstable();
    names.dedup();
    let there_is = match hint(wanted, names.iter().map(String::as_str)) {
        none if none.is_empty() => {
            format!("; name a folder or a file, or put {file} into a folder `plugins` beside the pipeline")
        }
        hint => hint,
    };
    Err(format!("there is no plugin `{wanted}` in a folder `plugins` here or above, or in {SHELVES}{there_is}"))
}

/// Where `wasmill build` puts a component, in an operator's folder.
const BUILT: &str = "target/wasmill";

/// The component at a path, or what `wasmill build` made in a folder.
///
/// # Errors
/// As [`find`].
pub(crate) fn built(path: &Path) -> Result<PathBuf, String> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    if !path.is_dir() {
        let what_to_do = meant(path).map_or("check the path".to_owned(), |near| format!("did you mean `{near}`?"));
        return Err(format!("there is no plugin at {}; {what_to_do}", path.display()));
    }
    let folder = path.join(BUILT);
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

/// The name that was probably meant by the first part of a path that is not there: of a component or an operator's
/// folder where it is the last one, else of a folder.
fn meant(path: &Path) -> Option<String> {
    let parts: Vec<&Path> = path.ancestors().collect();
    let there = parts.iter().position(|folder| folder.as_os_str().is_empty() || folder.is_dir())?;
    let missing = parts[there.checked_sub(1)?].file_name()?.to_str()?;
    let folder = if parts[there].as_os_str().is_empty() { Path::new(".") } else { parts[there] };
    let fits = |entry: &Path| {
        let is_code = entry.extension().is_some_and(|extension| extension == "wasm");
        if there == 1 { is_code || is_project(entry) || entry.join(BUILT).is_dir() } else { entry.is_dir() }
    };
    let entries = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).filter(|entry| fits(entry));
    let mut names: Vec<String> = entries.filter_map(|entry| Some(entry.file_name()?.to_str()?.to_owned())).collect();
    names.sort_unstable();
    // An ending that many have in common makes no name near to another.
    let stem = |name: &str| name.strip_suffix(".wasm").unwrap_or(name).to_owned();
    let stems: Vec<String> = names.iter().map(|name| stem(name)).collect();
    let near = nearest(&stem(missing), stems.iter().map(String::as_str))?;
    stems.iter().position(|of| of == near).map(|at| names.swap_remove(at))
}

/// What is probably not meant about the component that a pipeline finds in a folder: that it is not what would be
/// built.
pub(crate) fn warning(plugin: &PluginRef, base: &Path) -> Option<String> {
    let PluginRef::Path(path) = plugin else { return None };
    let folder = base.join(path);
    let source = build::changed_since(&folder, &built(&folder).ok().filter(|_| folder.is_dir())?)?;
    let (source, folder) = (folder.join(source), folder.display());
    Some(format!("{} has changed since the component was built; run `wasmill build {folder}`", source.display()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_found_by_name_and_version_on_the_first_shelf_that_has_it() {
        let house = tempfile::tempdir().unwrap();
        let shelf = |name: &str| house.path().join(name);
        for file in ["near/filter@1.wasm", "far/filter@1.wasm", "far/filter@2.wasm", "far/validate@1.wasm"] {
            std::fs::create_dir_all(shelf(file).parent().unwrap()).unwrap();
            std::fs::write(shelf(file), "").unwrap();
        }
        let shelves = ["absent", "near", "far"].map(shelf);
        assert_eq!(named("filter@1", &shelves), Ok(shelf("near/filter@1.wasm")));
        assert_eq!(named("filter@2", &shelves), Ok(shelf("far/filter@2.wasm")));
        assert!(named("valdate@1", &shelves).unwrap_err().ends_with("; did you mean `validate@1`?"));
        assert!(named("dedupe@1", &shelves).unwrap_err().ends_with("`filter@1`, `filter@2` and `validate@1`"));
        assert!(named("dedupe@1", &[]).unwrap_err().contains("put dedupe@1.wasm into a folder `plugins`"));
    }

    #[test]
    fn a_path_that_leads_nowhere_is_told_with_the_name_that_was_meant() {
        let house = tempfile::tempdir().unwrap();
        let at = |name: &str| house.path().join(name);
        for file in ["currency.wasm", "my-anomaly/Cargo.toml", "built/target/wasmill/b.wasm", "notes/readme.md"] {
            std::fs::create_dir_all(at(file).parent().unwrap()).unwrap();
            std::fs::write(at(file), "").unwrap();
        }
        let told = |name: &str| built(&at(name)).unwrap_err();
        for (wrong, meant) in [
            ("./curency.wasm", "currency.wasm"),
            ("currency", "currency.wasm"),
            ("my-anomoly", "my-anomaly"),
            ("biult", "built"),
            ("nots/score.wasm", "notes"),
        ] {
            assert!(told(wrong).ends_with(&format!("; did you mean `{meant}`?")), "{}", told(wrong));
        }
        for far in ["ab.wasm", "note", "score", "absent/folder/score.wasm"] {
            assert!(told(far).ends_with("; check the path"), "{}", told(far));
        }
    }

    #[test]
    fn shelves_stand_beside_the_pipeline_and_above_it() {
        let house = tempfile::tempdir().unwrap();
        let house = house.path().canonicalize().unwrap();
        std::fs::create_dir_all(house.join("a/b")).unwrap();
        let found = shelves(&house.join("a/b/../b"));
        let at = |folder: &str| found.iter().position(|shelf| *shelf == house.join(folder));
        assert!(at("a/b/plugins").is_some() && at("a/b/plugins") < at("a/plugins") && at("a/plugins") < at("plugins"));
        assert!(shelves(Path::new("")).contains(&std::env::current_dir().unwrap().join("plugins")));
    }
}
