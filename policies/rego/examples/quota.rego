# Quotas: an addition to the default policy: tokens per day by group, and keys that have expired. It reads counters and
# the clock, so decisions are no longer remembered; that is why the default policy leaves both to the gateway itself.
package gateway.authz

# METADATA
# description: |
#   data.gwcfg.tokens_day maps groups to tokens per day; the largest of the caller's groups counts, and a caller without
#   any has no quota.
quotas := [quota |
	some group in input.caller.groups
	quota := data.gwcfg.tokens_day[group]
]

# METADATA
# description: The quota of the caller is used up.
deny contains {"code": "token_quota", "message": "The tokens for today are used up.", "public": true} if {
	count(quotas) > 0
	not quota_left
}

# METADATA
# description: Whether the quota is known not to be used up.
quota_left if input.usage.tokens_day < max(quotas)

# METADATA
# description: The key has expired. The gateway itself refuses it before; an OPA that decides alone needs to be told.
deny contains {"code": "key_expired", "message": "the key has expired", "public": false} if not key_fresh

# METADATA
# description: Whether the key is known not to have expired.
key_fresh if input.key.expires_ns == 0

key_fresh if input.time.now_ns < input.key.expires_ns
