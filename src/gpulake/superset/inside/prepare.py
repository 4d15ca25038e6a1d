"""Run inside Superset's own environment: lay out its records, its one user, and the dashboards. Again is as once.

    python prepare.py BUNDLE_FOLDER PASSWORD_FILE {keep,renew}

Each stage is told by a line on standard output that begins with "stage: ".
"""

import sys
from pathlib import Path


def stage(what):
    """Tell a line of progress."""
    print(f"stage: {what}", flush=True)


def main(bundle, password_file, then):
    stage("starting Superset's own tools")
    from flask_migrate import upgrade
    from superset.app import create_app

    app = create_app()
    with app.app_context():
        import superset
        from superset import security_manager
        from superset.extensions import appbuilder, db

        stage("laying out Superset's records")
        upgrade(directory=str(Path(superset.__file__).parent / "migrations"))
        stage("setting up roles")
        appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        admin = security_manager.find_user(username="admin")
        password = Path(password_file).read_text(encoding="utf-8").strip()
        if admin is None:
            admin = security_manager.add_user(
                "admin", "gpulake", "admin", "admin@localhost", security_manager.find_role("Admin"), password=password
            )
            if not admin:
                raise SystemExit("the user admin could not be made")
        elif then == "renew":
            security_manager.reset_password(admin.id, password)
        db.session.commit()
        stage("bringing in the dashboards")
        from superset.commands.importers.v1.assets import ImportAssetsCommand
        from superset.utils.core import override_user

        root = Path(bundle)
        contents = {
            file.relative_to(root).as_posix(): file.read_text(encoding="utf-8") for file in sorted(root.rglob("*.yaml"))
        }
        with override_user(admin):
            ImportAssetsCommand(contents).run()


main(*sys.argv[1:])
