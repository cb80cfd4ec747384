package quarterdeck

allow if input.kind == "toolCall"

deny contains {"rule": "no-token", "message": "An answer to a server must not hold a token."} if {
	walk(input.inputResponses, [_, value])
	is_string(value)
	contains(value, "token-")
}
