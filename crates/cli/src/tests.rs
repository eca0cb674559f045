//! Tests of the command line and of what is said about it: its help, and `docs/commands.md`.

use std::collections::BTreeSet;

use clap::{Command, CommandFactory as _};

use super::{Cli, completing};

const COMMANDS: &str = include_str!("../../../docs/commands.md");

/// The commands about objects and buckets, whose help is under snapshot.
const OBJECTS: [&str; 18] = [
    "ls",
    "rm",
    "head",
    "du",
    "find",
    "stat",
    "presign",
    "tag",
    "meta",
    "versions",
    "acl",
    "storage-class",
    "restore",
    "encrypt",
    "lock",
    "bucket",
    "mb",
    "rb",
];

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
    completing::command(Cli::command()).debug_assert();
}

/// Every command and each of its own options has its place in the reference: a section under the command's name, and
/// the option in it, or in one of the sections about options of several commands.
#[test]
fn every_command_and_option_is_documented() {
    let mut missing = Vec::new();
    let shared: String = sections(|name| name.starts_with("Options of ") || name == "Filters").concat();
    for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = command.get_name();
        let mut section = section_of(name);
        if section.is_empty() {
            missing.push(format!("## {name}"));
            continue;
        }
        // "As `cp`, with the same options": what is said there is said here.
        let other =
            section.split_once("As `").and_then(|(_, rest)| rest.split_once("`, with the same options"));
        if let Some(other) = other.map(|(other, _)| section_of(other)) {
            section.push_str(&other);
        }
        let mut wanted = BTreeSet::new();
        options(command, "", &mut wanted);
        for (path, option) in wanted {
            let is_there = |text: &str| {
                text.match_indices(option.as_str()).any(|(at, _)| {
                    let next = text[at + option.len()..].chars().next();
                    !next.is_some_and(|letter| letter.is_ascii_alphanumeric() || letter == '-')
                })
            };
            if !is_there(&section) && !is_there(&shared) {
                missing.push(format!("{name}{path} {option}"));
            }
        }
    }
    assert!(missing.is_empty(), "docs/commands.md says nothing of:\n{}", missing.join("\n"));
}

/// What is said about a command.
fn section_of(name: &str) -> String {
    let about = |known: &str| known == name || known.starts_with(&format!("{name} "));
    sections(|heading| heading.split(", ").any(about)).concat()
}

/// The text under the headings that are meant.
fn sections(meant: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for section in COMMANDS.split("\n## ").skip(1) {
        let (heading, text) = section.split_once('\n').unwrap_or((section, ""));
        if meant(heading.trim()) {
            found.push(text.to_owned());
        }
    }
    found
}

fn options(command: &Command, path: &str, wanted: &mut BTreeSet<(String, String)>) {
    for argument in
        command.get_arguments().filter(|argument| !argument.is_global_set() && !argument.is_hide_set())
    {
        if let Some(long) = argument.get_long().filter(|long| !matches!(*long, "help" | "version")) {
            wanted.insert((path.to_owned(), format!("--{long}")));
        }
    }
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        options(sub, &format!("{path} {}", sub.get_name()), wanted);
    }
}

#[test]
fn help() {
    let mut whole = String::new();
    let mut program = Cli::command().term_width(100);
    program.build();
    for name in OBJECTS {
        let command = program.find_subcommand_mut(name).unwrap();
        whole.push_str(&format!("═══ wigeon {name}\n{}\n", command.render_help()));
        let verbs: Vec<_> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
        for verb in verbs.iter().filter(|verb| *verb != "help") {
            let sub = command.find_subcommand_mut(verb).unwrap();
            whole.push_str(&format!("═══ wigeon {name} {verb}\n{}\n", sub.render_help()));
        }
    }
    insta::assert_snapshot!(whole);
}
