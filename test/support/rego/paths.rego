package quarterdeck

allow if input.kind in {"toolCall", "manifest"}

deny contains {"rule": "no-etc", "message": sprintf("%v is outside of the project.", [input.arguments.path])} if {
	input.kind == "toolCall"
	startswith(input.arguments.path, "/etc/")
}

deny contains {"rule": "no-drop", "message": "A statement must not drop anything."} if {
	input.kind == "toolCall"
	regex.match(`(?i)\bdrop\b`, input.arguments.sql)
}

deny contains "A fleet needs a name of the team that runs it." if {
	input.kind == "manifest"
	input.manifest.kind == "AgentRole"
	not startswith(input.manifest.metadata.name, "team-")
}
