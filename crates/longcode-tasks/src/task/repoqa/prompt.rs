//! RepoQA's prompts.

use super::context::Surroundings;
use longcode_structure::Language;
use longcode_text::PromptStyle;

/// What encloses code.
pub(super) const FENCE: &str = "```";

const INSTRUCTION: &str = "Based on the function description and code context, please retrieve and repeat the exact \
                           described function from the code context in a code block wrapped by ```:";

/// The prompt, and the byte offsets at which its files begin: the text around the code counts as one too.
pub(super) fn of(
    context: &Surroundings,
    description: &str,
    language: Language,
    style: PromptStyle,
) -> (String, Vec<usize>) {
    let (code, starts) = context.text();
    let end = code.len();
    let asked = format!("{INSTRUCTION}{code}\nFunction Description:{description}\n{INSTRUCTION}");
    let (before, prompt) = match style {
        PromptStyle::Chat => ("", asked),
        PromptStyle::Raw => {
            let before = "You are an exceptionally intelligent coding assistant that consistently delivers accurate and \
                          reliable responses to long-context user instructions.\n\n### Instruction\n";
            let answer = format!(
                "Here is the exact single function that matches with the description:\n\n{FENCE}{language}"
            );
            (before, format!("{before}{asked}\n\n### Response\n{answer}"))
        }
    };
    let code_at = before.len() + INSTRUCTION.len();
    (prompt, starts.into_iter().chain([end]).map(|start| code_at + start).collect())
}
