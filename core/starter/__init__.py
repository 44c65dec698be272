"""The starter models that labelfree ships, and the script that trained them.

Training needs the extra packages of ``pip install '.[starter]'`` and Debian's ``wordnet-base``;
using the models needs neither.
"""
