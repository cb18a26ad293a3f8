//! Application packages: which of them are associated with an application, by port.
//!
//! The look-alike knows one package, the Storage Integration. Its port means nothing, but each association stores every
//! message once more.

use std::collections::BTreeMap;

use super::super::config::Application;
use super::super::messages::now;

/// The package name of the Storage Integration.
const STORAGE_INTEGRATION: &str = "storage-integration";

/// Where the console puts the association of the Storage Integration.
const DEFAULT_PORT: u8 = 100;

/// A package that works for an application.
#[derive(Debug, Clone)]
pub struct Association {
    pub package_name: String,
    pub created_at: String,
    pub updated_at: String,
}

/// The default associations of every application.
#[derive(Debug)]
pub struct Packages {
    applications: BTreeMap<String, BTreeMap<u8, Association>>,
}

impl Packages {
    /// Every application with the Storage Integration, or with nothing.
    pub fn new(applications: &[Application], active: bool) -> Self {
        let mut packages = Self { applications: BTreeMap::new() };
        for application in applications.iter().filter(|_| active) {
            packages.associate(&application.id, DEFAULT_PORT, STORAGE_INTEGRATION);
        }
        packages
    }

    /// The associations of an application by port.
    pub fn of(&self, application: &str) -> BTreeMap<u8, Association> {
        self.applications.get(application).cloned().unwrap_or_default()
    }

    /// Adds an association or replaces the one of the same port.
    pub fn associate(&mut self, application: &str, port: u8, package_name: &str) -> Association {
        let ports = self.applications.entry(application.to_owned()).or_default();
        let updated_at = now();
        let created_at = ports.get(&port).map_or_else(|| updated_at.clone(), |known| known.created_at.clone());
        let association = Association { package_name: package_name.to_owned(), created_at, updated_at };
        ports.insert(port, association.clone());
        association
    }

    /// Removes an association; false if there was none.
    pub fn dissociate(&mut self, application: &str, port: u8) -> bool {
        self.applications.get_mut(application).is_some_and(|ports| ports.remove(&port).is_some())
    }

    /// How often the Storage Integration is associated: each message is stored as often.
    pub fn storage_integrations(&self, application: &str) -> usize {
        let of = |ports: &BTreeMap<u8, Association>| {
            ports.values().filter(|association| association.package_name == STORAGE_INTEGRATION).count()
        };
        self.applications.get(application).map_or(0, of)
    }
}
