//! Stories of an author who builds an operator in Go.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use wasmill_tests::process::{Folder, ended, repository, wasmill};

/// A folder with a Go module of that source, beside a pipeline that nobody runs.
fn module(source: &str) -> Folder {
    let folder = Folder::new();
    let sdk = repository().join("sdk/go");
    let manifest =
        format!("module tried\n\ngo 1.24\n\nrequire wasmill v0.0.0\n\nreplace wasmill => {}\n", sdk.display());
    folder.write("go.mod", manifest);
    folder.write("main.go", source);
    folder
}

#[test]
fn who_has_no_go_or_an_old_one_is_told_what_to_install() {
    let folder = module("package main\n");
    let build = |tool: &str| ended(wasmill(folder.path(), &["build"]).env("WASMILL_GO", tool));
    let install = "install Go 1.24 or newer from https://go.dev/dl";
    build("go-that-is-not-here").with_code(1).says(&["cannot start `go-that-is-not-here`", install]);

    let old = folder.write("go1.22", "#!/bin/sh\necho go1.22.4\n");
    fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
    build(old.to_str().unwrap()).with_code(1).says(&["is version go1.22.4, and operators need 1.24", install]);
}

#[test]
fn what_go_says_of_a_program_that_does_not_compile_is_shown() {
    if Command::new("go").arg("version").output().is_err() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "there is no `go` on the path");
        return;
    }
    let folder = module("package main\n\nfunc main() { nothing() }\n");
    let told = folder.wasmill(&["build"]).with_code(1);
    told.says(&["main.go:3:15: undefined: nothing", "does not compile, see above"]);
}
