# METADATA
# title: Model access
# description: |
#   The default policy. A request is allowed if the credential's own bounds cover it and, as soon as there are grants
#   in data.gwcfg, if one of them matches. Further files of this package may add to `deny` and to `obligations`.
package gateway.authz

# METADATA
# title: Decision
# description: The result document v1. Always defined, whatever input and data are.
# entrypoint: true
decision := {
	"allow": allow,
	"reasons": reasons,
	"obligations": obligations,
	"grants": {g.id | some g in matching},
	"revision": revision,
}
