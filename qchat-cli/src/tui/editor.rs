//! The user's own editor: what is written goes into a directory for its owner alone, in memory where there is a place for that, which
//! is gone as soon as the editor is, with all that the editor has put beside it.

use std::{
    env, fs,
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use super::words::Words;
use crate::child;

/// Has somebody write in their editor (`VISUAL`, else `EDITOR`, else vi). `None` when nothing was changed.
pub(super) fn write(text: &str, words: Words) -> Result<Option<String>, String> {
    let editor = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.trim().is_empty()));
    let directory = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_dir());
    let editor = editor.unwrap_or_else(|| "vi".to_owned());
    edit(text, &editor, &directory.unwrap_or_else(env::temp_dir), words)
}

fn edit(text: &str, editor: &str, place: &Path, words: Words) -> Result<Option<String>, String> {
    let parts = shell_words::split(editor)
        .map_err(|error| words.editor_senseless(format!("{editor:?}"), error.to_string()))?;
    let (program, arguments) = parts.split_first().ok_or_else(|| words.editor_none())?;
    let failed = |error: io::Error| words.editor_no_file(error.to_string());
    // Swap and backup files of the editor's lie beside the file: nobody else comes there, and none of them stays.
    let own = fs::Permissions::from_mode(0o700);
    let directory =
        tempfile::Builder::new().prefix("qchat-").permissions(own).tempdir_in(place).map_err(failed)?;
    let file = directory.path().join("message.md");
    let mut made =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).map_err(failed)?;
    made.write_all(text.as_bytes()).map_err(failed)?;
    drop(made);
    let status = child::command(program)
        .args(arguments)
        .arg(&file)
        .status()
        .map_err(|error| words.editor_no_start(format!("{program:?}"), error.to_string()))?;
    if !status.success() {
        return Err(words.editor_failed(status.to_string()));
    }
    // What is no UTF-8 is shown as such; the rest is not lost for it.
    let written = fs::read(&file).map_err(|error| words.editor_took_it(error.to_string()))?;
    let written = String::from_utf8_lossy(&written);
    directory.close().map_err(failed)?;
    let written = written.strip_suffix('\n').unwrap_or(&written);
    Ok((written != text).then(|| written.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_editor_gets_the_text_and_gives_another_back() {
        let place = tempfile::tempdir().unwrap();
        for (editor, written) in [
            ("true", None),
            // For its owner alone: the directory, and the file.
            ("sh -c 'test $(stat -c %a \"$1\") = 600 && test $(stat -c %a \"${1%/*}\") = 700' sh", None),
            ("sh -c 'printf \"two\\n\" >> \"$1\"' sh", Some("onetwo")),
            ("sh -c 'cp \"$1\" \"$1~\"; printf \"\\377.\" >> \"$1\"' sh", Some("one\u{fffd}.")),
        ] {
            assert_eq!(
                edit("one", editor, place.path(), Words::default()),
                Ok(written.map(str::to_owned)),
                "{editor}"
            );
        }
        for (editor, word) in
            [("false", "has failed"), ("/no/such/editor", "does not start"), ("'", "makes no sense")]
        {
            assert!(
                edit("one", editor, place.path(), Words::default()).unwrap_err().contains(word),
                "{editor}"
            );
        }
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "nothing stays of what was written");
    }
}
