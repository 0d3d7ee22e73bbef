-- The changed fields of the changes in `made`: prices, then the other fields. `made` comes first in each join, since SQLite
-- would compare all changes otherwise.
    select made.*, price.field, price.currency, price.unit, price.before, price.after, 0 as place, price.class, null as shape_of
    from made cross join price_changes as price on price.change_id = made.id
    union all
    select made.*, others.field, null, null, others.before, others.after, others.field_change_id, others.class,
           others.shape_of
    from made cross join changed_fields as others on others.change_id = made.id
