-- gateways take a publication over when they hear of it
CREATE TRIGGER policy_bundles_changed AFTER INSERT OR UPDATE OR DELETE ON policy_bundles FOR EACH STATEMENT EXECUTE FUNCTION notify_declared_changed();
