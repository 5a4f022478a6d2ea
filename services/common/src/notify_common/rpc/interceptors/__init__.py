"""What stands around every call. On a server, outermost first: errors, current request, access log and
metrics, authz, deadline, streams, rules of fields (design.md §2.8); on a client, all in one: `client`.
"""
