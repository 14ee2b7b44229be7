# brew install --HEAD --formula ./packaging/homebrew/longcode.rb
#
# Never run: no machine with Homebrew was at hand. There is no release yet, so that only HEAD can be installed; a release
# adds `url` and `sha256` of its sources.
class Longcode < Formula
  desc "Evaluation harness for long-code benchmarks and position encodings"
  license any_of: ["MIT", "Apache-2.0"]
  head File.expand_path("../..", __dir__), using: :git, branch: "main"

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args
    generate_completions_from_executable(bin/"longcode", "completions")
    system bin/"longcode", "man", "man1"
    man1.install Dir["man1/*.1"]
  end

  test do
    system bin/"longcode", "quickstart", "try", "--limit", "1", "--device", "cpu"
    assert_path_exists testpath/"try/results/quickstart/summary.csv"
  end
end
