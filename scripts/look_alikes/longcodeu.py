"""In the format that is assumed of LongCodeU's CU_P, which was not read: long code and the names of its functions."""

from .sources import write_jsonl

# Whole files, one after another under their paths, until a context has so many tokens.
TOKENS = [1000, 2000, 3000, 4000]
PACKAGES = ["networkx", "mypy", "sqlalchemy"]


def write_cu_p(corpus, rng, out):
    records = []
    for package in PACKAGES:
        files = [file for file in corpus.package("python", package, 12_000) if len(file.functions) > 4]
        for number, least in enumerate(TOKENS):
            chosen, context = [], ""
            for file in rng.sample(files, len(files)):
                chosen.append(file)
                context += f"# {file.path}\n{file.text}\n"
                if corpus.tokens(context) >= least:
                    break
            names = [function.name for file in chosen for function in file.functions]
            records.append({
                "id": f"{package}/{number}",
                "context": context,
                "answer": list(dict.fromkeys(names)),
                "sources": [file.path for file in chosen],
            })  # fmt: skip
    return write_jsonl(out / "longcodeu-cu-p-look-alike.jsonl.gz", records)
