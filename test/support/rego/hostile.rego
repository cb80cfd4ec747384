package quarterdeck

# Each mode misbehaves in its own way; what names none of them passes.
mode := object.get(input.arguments, "mode", "")

allow if not mode in {"undefined", "false", "text"}

allow := false if mode == "false"

allow := "yes" if mode == "text"

deny contains "never" if {
	mode == "loop"
	some i in numbers.range(1, 30000)
	some j in numbers.range(1, 30000)
	i * j == -1
}

deny contains "grown" if {
	mode == "memory"
	count([text |
		some i in numbers.range(1, 5000)
		some j in numbers.range(1, 5000)
		text := sprintf("%d and %d", [i, j])
	]) == -1
}

deny contains 7 if mode == "number"

deny contains {"text": "no message"} if mode == "object"

deny contains {"rule": "../other", "message": "a rule with a strange name"} if mode == "name"

deny contains "conflict" if {
	mode == "conflict"
	two(mode) == 1
}

deny contains sprintf("%d", [mode]) if mode == "word"

deny contains concat("", ["long ", concat("", [mode | some _ in numbers.range(1, 5000)])]) if mode == "long"

deny contains "walked" if {
	mode == "walk"
	walk(input.arguments, [_, value])
	value == "needle"
}

two(x) := 1 if x != ""

two(x) := 2 if x != ""
