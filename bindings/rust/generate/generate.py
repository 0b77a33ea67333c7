#!/usr/bin/env python3
"""Writes relayattn-sys's Rust declarations: generate.py XML INCLUDE_DIR OUT_DIR

XML is what `swig -xml` says about relayattn.h, INCLUDE_DIR has that header, and OUT_DIR gets
    constants.rs   macros and enums
    types.rs       handles, function types and structs
    api.rs         the table of functions, ra_api
    layout.rs      sizes and offsets of the structs, checked when it is compiled
    linked.rs      functions, for the linker
    loaded/X.rs    the functions of subject X, out of the table that ra_get_api of a loaded library gives
    manual.md      the manual that the header begins with
generate.sh runs it.
"""
import os
import sys

import layout
import swig_xml
from header_comments import Header, markdown
from swig_xml import rust_name, rust_result, rust_type

NOTICE = "// Generated from relayattn.h by bindings/rust/generate; do not edit.\n"
# What a program can ask before a library is loaded, or when none could be; written by hand.
NOT_LOADED = {"ra_status": " RA_ERROR_DEVICE", "void": ""}
BY_HAND = {"ra_version", "ra_last_error", "ra_status_name", "ra_get_api"}
TABLE = "ra_api"
# The file of functions whose names begin like this.
SUBJECTS = {"context": "context", "model": "model", "layer": "model", "cache": "cache", "prefix": "prefix",
            "sequence": "sequence", "batch": "batch", "plan": "batch", "merge": "batch"}


def doc(lines, indent=""):
    return [f"{indent}///{' ' if line else ''}{line}" for line in markdown(lines)]


def parameter_list(function):
    return ", ".join(f"{rust_name(one.name)}: {rust_type(one.type)}" for one in function.members)


class Writer:
    def __init__(self, items, header, include):
        self.items, self.header = items, header
        self.structs = [item for item in items if item.kind == "struct"]
        self.functions = [item for item in items if item.kind == "function"]
        self.layout = layout.measure(self.structs, include)

    def constant(self, item, group):
        own = (self.header.constant(item.name) or self.header.status(item.name)) if item.in_enum \
            else self.header.declaration(item.name)
        both = own + ([""] if own and group else []) + group
        kind = "i32" if item.in_enum else "i64"
        if item.name == "RA_OK" or item.name.startswith("RA_ERROR_"):
            kind = "ra_status"
        return doc(both or [f"{item.name} of the header."]) + [f"pub const {item.name}: {kind} = {item.value};"]

    def typedef(self, item):
        lines = doc(self.header.declaration(item.name) or ["A handle; section 2 has its rules."])
        if item.type.startswith("p.struct "):  # a handle, to a struct that is never defined
            target = item.type.removeprefix("p.struct ")
            return [f"/// What an [`{item.name}`] seems to point to. Never defined.", "#[repr(C)]",
                    f"pub struct {target} {{", "    _opaque: [u8; 0],", "}"] + lines + [
                    f"pub type {item.name} = *mut {target};"]
        if item.type.startswith("p.f("):
            return lines + [f"pub type {item.name} = Option<{rust_type(item.type)}>;"]
        return lines + [f"pub type {item.name} = {rust_type(item.type)};"]

    def struct(self, item):
        lines = doc(self.header.declaration(item.name)) + ["#[repr(C)]", "#[derive(Clone, Copy, Debug)]",
                                                           f"pub struct {item.name} {{"]
        former = []
        for one in item.members:
            if one.name == "struct_size":
                lines.append("    /// Bytes of this struct; section 2 has the rule.")
            elif one.type.startswith("p.f("):
                lines.append(f"    /// [`ra_{one.name}`](crate::ra_{one.name})")
            else:
                # A field without a comment goes with the one above it.
                former = self.header.field(item.name, one.name) or former
                lines += doc(former, "    ")
            names = [parameter.name for parameter in one.members]
            lines.append(f"    pub {rust_name(one.name)}: {rust_type(one.type, names)},")
        return lines + ["}"]

    def asserts(self, item):
        size, alignment = self.layout[item.name]
        lines = ["const _: () = {", f"    assert!(size_of::<{item.name}>() == {size});",
                 f"    assert!(align_of::<{item.name}>() == {alignment});"]
        for one in item.members:
            offset = self.layout[f"{item.name}.{one.name}"][0]
            lines.append(f"    assert!(offset_of!({item.name}, {rust_name(one.name)}) == {offset});")
        return lines + ["};"]

    def constants(self):
        lines = [NOTICE, "use super::types::ra_status;", ""]
        for item in self.items:
            if item.kind == "constant":
                lines += self.constant(item, [])
            elif item.kind == "enum":
                group = self.header.enum_of(item.name)
                for one in item.members:
                    lines += self.constant(one, group)
        return lines

    def types(self):
        lines = [NOTICE, "use core::ffi::{c_char, c_void};", ""]
        for item in self.items:
            if item.kind == "typedef":
                lines += self.typedef(item)
            elif item.kind == "struct" and item.name != TABLE:
                lines += self.struct(item)
        return lines

    def api(self):
        lines = [NOTICE, "use super::types::*;", "use core::ffi::{c_char, c_void};", ""]
        return lines + self.struct(next(item for item in self.structs if item.name == TABLE))

    def layouts(self):
        lines = [NOTICE, "use super::api::*;", "use super::types::*;", "use core::mem::offset_of;", ""]
        for item in self.structs:
            lines += self.asserts(item)
        return lines

    def linked(self):
        lines = [NOTICE, "use crate::api::*;", "use crate::types::*;",
                 "use core::ffi::{c_char, c_void};", "",
                 'unsafe extern "C" {']
        for item in self.functions:
            lines += doc(self.header.declaration(item.name), "    ")
            lines.append(f"    pub fn {item.name}({parameter_list(item)}){rust_result(item.type)};")
        return lines + ["}"]

    def subject(self, function):
        return SUBJECTS[function.name.split("_")[1]]

    def loaded(self, subject):
        lines = [NOTICE, "use super::*;", ""]
        for item in self.functions:
            if item.name in BY_HAND or self.subject(item) != subject:
                continue
            names = ", ".join(rust_name(one.name) for one in item.members)
            lines += doc(self.header.declaration(item.name)) + [
                "///", "/// # Safety", "///", "/// As in C: pointers are valid for what they are said to be.",
                f"pub unsafe fn {item.name}({parameter_list(item)}){rust_result(item.type)} {{",
                f"    let Some(table) = table() else {{ return{NOT_LOADED[item.type]} }};",
                "    // SAFETY: as the caller promises.",
                f"    unsafe {{ (table.{item.name.removeprefix('ra_')})({names}) }}", "}"]
        return lines

    def manual(self):
        return ["```text"] + self.header.manual + ["```"]


def main():
    xml, include, out = sys.argv[1:]
    header = Header(os.path.join(include, "relayattn", "relayattn.h"))
    writer = Writer(swig_xml.read(xml), header, include)
    os.makedirs(os.path.join(out, "loaded"), exist_ok=True)
    files = {"constants.rs": writer.constants(), "types.rs": writer.types(), "layout.rs": writer.layouts(),
             "api.rs": writer.api(), "linked.rs": writer.linked(), "manual.md": writer.manual()}
    for subject in SUBJECTS.values():
        files[f"loaded/{subject}.rs"] = writer.loaded(subject)
    for name, lines in files.items():
        with open(os.path.join(out, name), "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
