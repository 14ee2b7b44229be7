//! C++.

use super::c;
use super::entry::Entry;
use super::preprocessor;
use crate::syntax::Place;

pub(super) const ENTRY: Entry = Entry {
    names: &["cpp", "c++", "cxx"],
    about: "C++",
    extensions: &["cc", "cpp", "cxx", "c++", "hh", "hpp", "hxx", "h++", "inl", "ipp", "tpp"],
    line_comment: "//",
    grammar: || tree_sitter_cpp::LANGUAGE.into(),
    repairs: preprocessor::REPAIRS,
    dialect: None,
    root: "translation_unit",
    transparent: &[
        "declaration_list",
        "linkage_specification",
        "preproc_elif",
        "preproc_elifdef",
        "preproc_else",
        "preproc_if",
        "preproc_ifdef",
        "template_declaration",
    ],
    comments: &["comment"],
    identifiers: &["identifier", "field_identifier", "namespace_identifier", "type_identifier"],
    wrappers: &["friend_declaration", "linkage_specification", "template_declaration"],
    attributes: &[],
    local_class_parents: &["compound_statement"],
    additions: &[],
    is_function: c::is_function,
    is_class: c::is_class,
    is_statement,
    imports: &["preproc_include", "using_declaration"],
    is_global: c::is_global,
    name: c::name,
    end: c::end,
};

/// Statements of C and C++. What a `template` or `friend` precedes is a part of it.
fn is_statement(place: &Place) -> bool {
    let parent = place.parent();
    match place.kind() {
        // Not as the body of a function.
        "try_statement" => parent != "function_definition",
        "alias_declaration" => parent != "init_statement" && parent != "template_declaration",
        "template_declaration" | "concept_definition" | "friend_declaration" => {
            parent != "template_declaration"
        }
        "co_return_statement"
        | "co_yield_statement"
        | "for_range_loop"
        | "namespace_alias_definition"
        | "namespace_definition"
        | "static_assert_declaration"
        | "template_instantiation"
        | "throw_statement"
        | "using_declaration" => true,
        _ => c::is_statement(place),
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{shown_in, texts};
    use crate::{Language, Unit};

    fn functions(text: &str) -> Vec<String> {
        shown_in(text, Language::Cpp, Unit::FUNCTION)
    }

    fn statements(text: &str) -> Vec<String> {
        texts(shown_in(text, Language::Cpp, Unit::STATEMENT))
    }

    #[test]
    fn members_and_what_stands_outside() {
        let text = "namespace n {\nclass A : public B {\n public:\n  A() : x(1) {}\n  A(int) = default;\n  ~A() {};\n  virtual void p() = 0;\n  void q();\n  int r() const { return x; }\n  int x;\n};\nint A::q() { return 1; }\n}\n";
        assert_eq!(
            functions(text),
            [
                "between|namespace n {\n",
                "class A|class A : public B {\n public:\n  ",
                "function A|A() : x(1) {}",
                "class A|\n  A(int) = default;\n  ",
                "function ~A|~A() {};",
                "class A|\n  virtual void p() = 0;\n  void q();\n  ",
                "function r|int r() const { return x; }",
                "class A|\n  int x;\n};",
                "function q|\nint A::q() { return 1; }",
                "between|\n}\n"
            ]
        );
    }

    #[test]
    fn names_of_operators_and_destructors() {
        let text = "struct A {\n  bool operator==(const A& o) const { return true; }\n  operator bool() const { return true; }\n  int operator()(int x) { return x; }\n};\nA::~A() {}\nA& n::A::operator=(const A&) { return *this; }\nA<int>::operator const int*() { return 0; }\n";
        assert_eq!(
            functions(text),
            [
                "class A|struct A {\n  ",
                "function operator==|bool operator==(const A& o) const { return true; }",
                "function operator bool|\n  operator bool() const { return true; }",
                "function operator()|\n  int operator()(int x) { return x; }",
                "class A|\n};",
                "function ~A|\nA::~A() {}",
                "function operator=|\nA& n::A::operator=(const A&) { return *this; }",
                "function operator const int*|\nA<int>::operator const int*() { return 0; }\n"
            ]
        );
    }

    #[test]
    fn templates_and_friends() {
        let text = "template <class T>\nT f(T x) { return x; }\ntemplate <> struct H<int> {\n  template <class U> void g(U u) {}\n  friend void h() {}\n};\nextern \"C\" int c(void) { return 1; }\nextern \"C\" {\nint d(void) { return 1; }\n}\n";
        assert_eq!(
            functions(text),
            [
                "function f|template <class T>\nT f(T x) { return x; }",
                "class H|\ntemplate <> struct H<int> {\n  ",
                "function g|template <class U> void g(U u) {}",
                "function h|\n  friend void h() {}",
                "class H|\n};",
                "function c|\nextern \"C\" int c(void) { return 1; }",
                "between|\nextern \"C\" {\n",
                "function d|int d(void) { return 1; }",
                "between|\n}\n"
            ]
        );
    }

    #[test]
    fn local_classes_and_lambdas_are_parts() {
        let text = "void f() {\n  struct L { void m() {} };\n  auto g = [](int x) { return x; };\n}\nauto h = [] { struct K { void n() {} }; return 1; };\nvoid t() try { } catch (...) { }\n";
        assert_eq!(
            functions(text),
            [
                "function f|void f() {\n  struct L { void m() {} };\n  auto g = [](int x) { return x; };\n}",
                "between|\nauto h = [] { ",
                "class K|struct K { void n() {} };",
                "between| return 1; };\n",
                "function t|void t() try { } catch (...) { }\n"
            ]
        );
    }

    #[test]
    fn enumerations_and_unions() {
        let text = "enum class E : int { A, B };\nunion U { int x; U() {} };\nclass F;\n";
        assert_eq!(
            functions(text),
            [
                "class E|enum class E : int { A, B };",
                "class U|\nunion U { int x; ",
                "function U|U() {}",
                "class U| };",
                "between|\nclass F;\n"
            ]
        );
    }

    #[test]
    fn macros_of_classes_and_members() {
        let text = "class API A : public B {\n  Q_OBJECT\n public:\n  int f() const NOEXCEPT { return 1; }\n};\nAPI int g() GUARDED_BY(m) { return 1; }\nTEST_F(A, B) { f(); }\n";
        assert_eq!(
            functions(text),
            [
                "class A|class API A : public B {\n  Q_OBJECT\n public:\n  ",
                "function f|int f() const NOEXCEPT { return 1; }",
                "class A|\n};",
                "function g|\nAPI int g() GUARDED_BY(m) { return 1; }",
                "function TEST_F|\nTEST_F(A, B) { f(); }\n"
            ]
        );
    }

    #[test]
    fn conditionals_around_the_head_of_a_member() {
        let text = "#ifdef X\nvoid A::f(int a)\n#else\nvoid A::g(int a)\n#endif\n{\n}\n";
        assert_eq!(
            functions(text),
            ["between|#ifdef X\n", "function f|void A::f(int a)\n#else\nvoid A::g(int a)\n#endif\n{\n}\n"]
        );
    }

    #[test]
    fn blocks_of_macros() {
        let text = "int f()\n{\n  TRY\n  {\n    g();\n  }\n  CATCH\n  return 1;\n}\nint h() { return 2; }\n";
        assert_eq!(
            functions(text),
            [
                "function f|int f()\n{\n  TRY\n  {\n    g();\n  }\n  CATCH\n  return 1;\n}",
                "function h|\nint h() { return 2; }\n"
            ]
        );
    }

    #[test]
    fn statements_at_any_depth() {
        let parts = [
            "using namespace a;\n",
            "namespace n {\n",
            "template <class T> class A : B {\n public:\n  ",
            "A() : x(1) { ",
            "f(); }\n  ",
            "friend void g();\n  ",
            "T x;\n};\n}\n",
            "void h() try {\n  ",
            "for (auto x : y) ",
            "z(x);\n  ",
            "try { ",
            "throw 1; } catch (...) { }\n  ",
            "if (int i = 1; i) { ",
            "co_return; }\n} catch (...) { }\n",
        ];
        assert_eq!(statements(&parts.concat()), parts);
    }
}
